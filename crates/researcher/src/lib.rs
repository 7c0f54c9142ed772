//! What a researcher's program uses.
