//! Dataset descriptions, readers, splits and batch order.
