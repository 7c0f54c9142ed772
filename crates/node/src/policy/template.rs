//! The policy file that `init` writes.

/// Every key, commented: as it stands, it bounds nothing beyond `node.toml`.
pub(crate) const TEMPLATE: &str = r#"# The policy of a Wardround node: who may do what with which dataset, and what may leave.
# No plan ever runs that its owner has not approved; what stands here bounds the approved ones, too.
# The node reads this file when it starts and at `wardround node policy reload`;
# `wardround node policy check` says what is wrong with it, `wardround node policy show` what is in effect.

# What holds for every dataset.
[defaults]

# Who may ask. Without the key, whoever has an approved plan; with an empty list, nobody.
# researchers = ["ada", "grace"]

# Which plans: "native" ones are data, "python" ones are programs in the sandbox, "statistics" are queries.
# runtimes = ["native"]

# What for: "train", or only to "validate" a model here.
# modes = ["train", "validate"]

# At most so many rounds of one researcher on one dataset in 24 hours.
# rounds_per_day = 100

# A plan may work for so many seconds in a round, with so many bytes of memory;
# a Python plan may write so many bytes to its scratch folder.
# maximum_seconds = 3600
# memory_limit = 4294967296
# disk_limit = 1073741824

# Whether rounds may use a GPU that node.toml offers.
# gpu = false

# Fewer rows than this, and a dataset is not worked on. The larger of this and node.toml's counts.
# minimum_samples = 50

# An update that is larger does not leave: by the L2 norm of what it changes in the model, by the bytes of its file.
# maximum_update_norm = 100.0
# maximum_update_bytes = 104857600

# Metrics over fewer rows than this do not leave, nor more scalar messages in a round.
# minimum_validation_samples = 20
# scalars_per_round = 100

# Only these measured values leave; "loss" is the training loss. Each with so many significant digits.
# metrics = ["loss", "ACCURACY"]
# metric_digits = 3

# Statistics: counts of fewer patients than this are withheld, with what is computed from them; a query about other
# patients than an answered one differs by so many at least; whether smallest and largest values are told;
# queries of one researcher in 24 hours, and ever.
# statistics_minimum_count = 10
# statistics_minimum_difference = 10
# statistics_extremes = true
# statistics_per_day = 20
# statistics_total = 100

# An update waits until its owner lets it go with `wardround node release approve`.
# hold = true

# A grant counts once a second user of the operating system has signed it, too.
# second_person = true

# Values of a metric are brought into a range.
# [defaults.metric_ranges]
# loss = { maximum = 10.0 }

# What training arguments must be: { minimum = …, maximum = … }, { one_of = […] }, "required" or "forbidden".
# [defaults.arguments]
# epochs = { maximum = 5 }
# num_updates = { maximum = 1000 }
# batch_size = { minimum = 8 }
# test_ratio = { maximum = 0.5 }
# dp_args = "required"

# Researchers by the name of their group, for grants.
# [groups]
# oncology = ["ada", "grace"]

# What holds for one dataset, key by key over the defaults; here an argument can also be "free" again.
# [dataset.ward]
# researchers = ["ada"]
# arguments.epochs = { maximum = 1 }
"#;
