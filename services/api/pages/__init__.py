"""The pages for people; they work without JavaScript."""
