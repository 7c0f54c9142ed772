//! Training plans, experiment files, training arguments, metrics and seeds.
