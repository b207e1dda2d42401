"""What a table's metadata and protocol say: schema, names of columns, properties, features."""
