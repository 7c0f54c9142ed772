//! Training arguments as canonical JSON.

use std::num::NonZeroU64;

use serde_json::{Map, Value, json};

use super::{Loader, Optimizer, Training, TrainingArguments, TrainingLength, Validation};

/// Writes every argument, defaults included, with sorted keys.
pub(super) fn export(arguments: &TrainingArguments) -> Value {
    let mut object = Map::new();
    export_training(arguments.training(), &mut object);
    export_validation(arguments.validation(), &mut object);
    object.insert("loader_args".into(), export_loader(arguments.loader()));
    object.insert("optimizer_args".into(), export_optimizer(arguments.optimizer()));
    object.insert("dp_args".into(), Value::Null);
    sorted(Value::Object(object))
}

fn export_training(training: &Training, object: &mut Map<String, Value>) {
    match training.length {
        TrainingLength::Epochs { epochs, batch_maximum } => {
            object.insert("epochs".into(), epochs.into());
            object.insert("batch_maxnum".into(), batch_maximum.map(NonZeroU64::get).into());
        }
        TrainingLength::Updates(updates) => {
            object.insert("num_updates".into(), updates.get().into());
        }
    }
    object.insert("dry_run".into(), training.dry_run.into());
    object.insert("log_interval".into(), training.log_interval.get().into());
    object.insert("fedprox_mu".into(), training.fedprox_mu.into());
    object.insert("use_gpu".into(), training.use_gpu.into());
    object.insert("random_seed".into(), training.random_seed.into());
    object.insert("share_persistent_buffers".into(), training.share_persistent_buffers.into());
    object.insert("gradient_clip_norm".into(), training.gradient_clip_norm.into());
}

fn export_validation(validation: &Validation, object: &mut Map<String, Value>) {
    object.insert("test_ratio".into(), validation.test_ratio.into());
    object.insert("test_on_local_updates".into(), validation.on_local_updates.into());
    object.insert("test_on_global_updates".into(), validation.on_global_updates.into());
    object.insert("test_metric".into(), validation.metric.map(|metric| metric.name()).into());
    object.insert("test_metric_args".into(), Value::Object(validation.metric_args.clone()));
    object
        .insert("test_batch_size".into(), validation.batch_size.map_or(0, NonZeroU64::get).into());
    object.insert("stratify".into(), validation.stratify.into());
    object.insert("shuffle_testing_dataset".into(), validation.shuffle_testing_dataset.into());
}

fn export_loader(loader: &Loader) -> Value {
    json!({
        "batch_size": loader.batch_size.get(),
        "shuffle": loader.shuffle,
        "drop_last": loader.drop_last,
    })
}

fn export_optimizer(optimizer: &Optimizer) -> Value {
    let mut object = optimizer.rest.clone();
    if let Some(rate) = optimizer.learning_rate {
        object.insert("lr".into(), rate.into());
    }
    Value::Object(object)
}

/// Sorts the keys of every object in `value`, bytewise.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(String, Value)> = object.into_iter().collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            members.into_iter().map(|(key, member)| (key, sorted(member))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}
