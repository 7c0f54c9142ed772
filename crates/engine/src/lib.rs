//! Native training: models described by data, run on the CPU.
