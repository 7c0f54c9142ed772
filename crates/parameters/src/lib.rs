//! Named tensors over safetensors files.
