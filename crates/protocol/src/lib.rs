//! Messages, identifiers, digests and codes that Wardround's processes exchange.
