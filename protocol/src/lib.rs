//! What an Andiron server and its clients agree on: values, paths, documents, queries, writes, errors.
