//! The coordinator's tables beside the journal's.

use store::database::{Migration, Migrations};

/// Everything the coordinator knows that is not an event of a machine.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    component: "coordinator",
    steps: &[FIRST, POSSESSION, BODIES, MEMBERS, APPROVAL_REQUESTS, RECEIPTS, APPROVAL_STATUSES],
};

/// What was granted to those who asked, beside the answer.
const APPROVAL_STATUSES: Migration = Migration {
    version: 7,
    sql: "ALTER TABLE approval_requests ADD COLUMN status TEXT NOT NULL DEFAULT '';",
};

/// What was signed of nodes' audit logs.
const RECEIPTS: Migration = Migration {
    version: 6,
    sql: "
            CREATE TABLE receipts (
                node TEXT NOT NULL,
                records INTEGER NOT NULL,
                head TEXT NOT NULL,
                at INTEGER NOT NULL,
                receipt TEXT NOT NULL,
                PRIMARY KEY (node, records)
            ) WITHOUT ROWID;
        ",
};

/// Who may take part, and who may come to.
///
/// Of a token there is the digest of its secret only. A member that was put out stays, so that its name is not given
/// to somebody else by mistake.
const MEMBERS: Migration = Migration {
    version: 4,
    sql: "
            CREATE TABLE tokens (
                secret TEXT PRIMARY KEY,
                member TEXT NOT NULL,
                replaces INTEGER NOT NULL,
                made_at INTEGER NOT NULL,
                expires_at INTEGER NOT NULL,
                used_at INTEGER,
                used_by TEXT
            ) WITHOUT ROWID;
            CREATE TABLE members (
                member TEXT PRIMARY KEY,
                identity TEXT NOT NULL UNIQUE,
                fingerprint TEXT NOT NULL,
                serial TEXT NOT NULL,
                certificate_expires_at INTEGER NOT NULL,
                enrolled_at INTEGER NOT NULL,
                revoked_at INTEGER
            ) WITHOUT ROWID;
        ",
};

/// What researchers ask of owners before there is an experiment.
const APPROVAL_REQUESTS: Migration = Migration {
    version: 5,
    sql: "
            CREATE TABLE approval_requests (
                request_id TEXT PRIMARY KEY,
                researcher_id TEXT NOT NULL,
                node TEXT NOT NULL,
                dataset_id TEXT NOT NULL,
                dataset TEXT NOT NULL,
                plan TEXT NOT NULL,
                plan_digest TEXT NOT NULL,
                runtime TEXT NOT NULL,
                name TEXT NOT NULL,
                message TEXT NOT NULL,
                requested_at INTEGER NOT NULL,
                code TEXT NOT NULL DEFAULT '',
                note TEXT NOT NULL DEFAULT '',
                answered_at INTEGER,
                UNIQUE (researcher_id, node, dataset_id, plan_digest)
            ) WITHOUT ROWID;
            CREATE INDEX approval_requests_by_plan ON approval_requests (plan_digest);
            CREATE INDEX approval_requests_by_node ON approval_requests (node, plan_digest);
        ",
};

/// Short files, which are on the disk with the row that names them.
const BODIES: Migration = Migration {
    version: 3,
    sql: "CREATE TABLE bodies (digest TEXT PRIMARY KEY, body BLOB NOT NULL);",
};

/// Who brought a file, in place of only that it was brought.
///
/// What the first schema knew has no owner: nobody may name it, and it stays for its day.
const POSSESSION: Migration = Migration {
    version: 2,
    sql: "
            CREATE TABLE brought (
                owner TEXT NOT NULL,
                digest TEXT NOT NULL,
                size INTEGER NOT NULL,
                times INTEGER NOT NULL,
                at INTEGER NOT NULL,
                PRIMARY KEY (owner, digest)
            ) WITHOUT ROWID;
            CREATE INDEX brought_by_digest ON brought (digest);
            INSERT INTO brought (owner, digest, size, times, at)
                SELECT '', digest, 0, 1, at FROM uploads;
            DROP TABLE uploads;
        ",
};

const FIRST: Migration = Migration {
    version: 1,
    sql: "
            CREATE TABLE nodes (
                node TEXT PRIMARY KEY,
                software TEXT NOT NULL,
                paused INTEGER NOT NULL,
                last_seen_at INTEGER NOT NULL,
                datasets TEXT NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE experiments (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                experiment_id TEXT NOT NULL UNIQUE,
                researcher_id TEXT NOT NULL,
                name TEXT NOT NULL,
                submission TEXT NOT NULL,
                plan_digest TEXT NOT NULL,
                submitted_at INTEGER NOT NULL,
                updated_at INTEGER NOT NULL,
                state TEXT NOT NULL,
                code TEXT NOT NULL,
                message TEXT NOT NULL,
                round INTEGER NOT NULL,
                last_event INTEGER NOT NULL DEFAULT 0
            );
            CREATE INDEX experiments_by_plan ON experiments (plan_digest);
            CREATE TABLE executions (
                round_id TEXT PRIMARY KEY,
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                node TEXT NOT NULL,
                dataset TEXT NOT NULL,
                asked_at INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE INDEX executions_by_round ON executions (experiment_id, round);
            CREATE TABLE replies (
                round_id TEXT PRIMARY KEY,
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                node TEXT NOT NULL,
                dataset TEXT NOT NULL,
                at INTEGER NOT NULL,
                late INTEGER NOT NULL,
                used INTEGER NOT NULL DEFAULT 0,
                loss REAL,
                update_digest TEXT,
                update_kept INTEGER NOT NULL,
                body TEXT NOT NULL
            ) WITHOUT ROWID;
            CREATE INDEX replies_by_round ON replies (experiment_id, round);
            CREATE INDEX replies_by_update ON replies (update_digest) WHERE update_kept;
            CREATE TABLE rounds (
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                started_at INTEGER,
                ended_at INTEGER,
                model TEXT,
                model_digest TEXT,
                model_kept INTEGER NOT NULL DEFAULT 0,
                PRIMARY KEY (experiment_id, round)
            ) WITHOUT ROWID;
            CREATE INDEX rounds_by_model ON rounds (model_digest) WHERE model_kept;
            CREATE TABLE events (
                experiment_id TEXT NOT NULL,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                name TEXT NOT NULL,
                fields TEXT NOT NULL,
                PRIMARY KEY (experiment_id, sequence)
            ) WITHOUT ROWID;
            CREATE TABLE scalars (
                round_id TEXT NOT NULL,
                attempt INTEGER NOT NULL,
                sequence INTEGER NOT NULL,
                PRIMARY KEY (round_id, attempt, sequence)
            ) WITHOUT ROWID;
            CREATE TABLE uploads (
                digest TEXT PRIMARY KEY,
                at INTEGER NOT NULL
            ) WITHOUT ROWID;
        ",
};
