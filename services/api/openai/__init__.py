"""Routes in the shapes that OpenAI's clients speak, over the same durable jobs."""
