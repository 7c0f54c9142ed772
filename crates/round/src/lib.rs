//! The state machines of a round and of an experiment, without input or output.
