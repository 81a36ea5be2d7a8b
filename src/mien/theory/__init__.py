"""Theory: shapes of layers, gradients in closed form, and their verification. Reads no files."""
