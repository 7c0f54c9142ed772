//! Durable mechanisms: journal, artifacts, leases, migrations, clock.
