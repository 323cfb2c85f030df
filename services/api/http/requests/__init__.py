"""What a request says: its JSON body, query and headers, each read as strictly as the others."""
