//! Runtimes that execute a training plan on a dataset.
