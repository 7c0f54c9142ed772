//! Training arguments: what a researcher says about one round's training and validation.
//!
//! [`TrainingArguments::parse`] is the only way in. It knows every key, rule and default; what it
//! returns cannot be wrong, so later code never checks again. Unknown keys are refused with the
//! nearest known name, booleans are never numbers, and an integral float counts as an integer.

mod error;
mod export;
mod loader;
mod name;
mod optimizer;
mod privacy;
pub(crate) mod reader;
mod training;
mod validation;

use protocol::Warning;
use serde_json::Value;

pub use error::{ArgumentError, Rule};
pub use loader::Loader;
pub use optimizer::Optimizer;
pub use training::{Training, TrainingLength};
pub use validation::Validation;

use reader::Reader;

/// The arguments of a round, complete and correct.
///
/// Equal arguments are equal values however they were written: `batch_size` at the top level or in
/// `loader_args`, `1` or `1.0`, a default spelled out or left out.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use training_plan::arguments::{TrainingArguments, TrainingLength};
///
/// let arguments = TrainingArguments::parse(&json!({
///     "epochs": 2,
///     "test_ratio": 0.2,
///     "test_on_global_updates": true,
///     "loader_args": {"batch_size": 32},
///     "optimizer_args": {"lr": 0.1, "momentum": 0.9},
/// }))?;
/// assert_eq!(
///     arguments.training().length,
///     TrainingLength::Epochs { epochs: 2, batch_maximum: None }
/// );
/// assert_eq!(arguments.loader().batch_size.get(), 32);
/// assert!(arguments.loader().shuffle);
/// assert_eq!(arguments.optimizer().learning_rate, Some(0.1));
/// assert_eq!(arguments.optimizer().rest["momentum"], 0.9);
/// assert!(arguments.warnings().is_empty());
///
/// let refused = TrainingArguments::parse(&json!({"epoch": 2})).unwrap_err();
/// assert_eq!(refused.rule().to_string(), "is not a known name; the nearest is \"epochs\"");
/// # Ok::<(), training_plan::arguments::ArgumentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingArguments {
    training: Training,
    loader: Loader,
    optimizer: Optimizer,
    validation: Validation,
}

impl TrainingArguments {
    /// Reads arguments from a JSON object.
    ///
    /// # Errors
    ///
    /// Returns the first error; [`parse_all`](Self::parse_all) returns them all.
    pub fn parse(value: &Value) -> Result<Self, ArgumentError> {
        Self::parse_all(value).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Reads arguments from a JSON object, looking on after an error.
    ///
    /// # Errors
    ///
    /// Returns every error, at least one: unknown keys first, then group by group.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde_json::json;
    /// use training_plan::arguments::TrainingArguments;
    ///
    /// let given = json!({"test_ratio": 2, "log_interval": 0});
    /// let errors = TrainingArguments::parse_all(&given).unwrap_err();
    /// let keys: Vec<&str> = errors.iter().map(|error| error.key()).collect();
    /// assert_eq!(keys, ["log_interval", "test_ratio"]);
    /// ```
    pub fn parse_all(value: &Value) -> Result<Self, Vec<ArgumentError>> {
        let Value::Object(object) = value else {
            let rule = Rule::MustBe("an object");
            return Err(vec![ArgumentError::new("training_args", Some(value), rule)]);
        };
        let mut errors = Vec::new();
        let mut reader = Reader::top(object, &mut errors);
        reader.only(name::TOP_LEVEL);
        let arguments = Self {
            training: Training::read(&mut reader),
            loader: Loader::read(&mut reader),
            optimizer: Optimizer::read(&mut reader),
            validation: Validation::read(&mut reader),
        };
        privacy::read(&mut reader);
        if errors.is_empty() { Ok(arguments) } else { Err(errors) }
    }

    /// The arguments of the training loop.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// The arguments of the training batches.
    #[must_use]
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The arguments of the optimizer.
    #[must_use]
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The arguments of the validation.
    #[must_use]
    pub fn validation(&self) -> &Validation {
        &self.validation
    }

    /// What is allowed but probably not meant, in a fixed order, each at most once.
    ///
    /// # Examples
    ///
    /// ```
    /// use protocol::Warning;
    /// use serde_json::json;
    /// use training_plan::arguments::TrainingArguments;
    ///
    /// let arguments = TrainingArguments::parse(&json!({"test_ratio": 0.2}))?;
    /// assert_eq!(arguments.warnings(), [Warning::ValidationSplitUnused]);
    /// # Ok::<(), training_plan::arguments::ArgumentError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let validation = &self.validation;
        let has_rows = validation.test_ratio > 0.0;
        let mut warnings = Vec::new();
        if has_rows && !validation.is_on() {
            warnings.push(Warning::ValidationSplitUnused);
        }
        if !has_rows && validation.is_on() {
            warnings.push(Warning::ValidationNoSplit);
        }
        if has_rows && validation.shuffle_testing_dataset {
            warnings.push(Warning::ValidationSplitChanges);
        }
        warnings
    }

    /// All arguments, defaults included, as a JSON object with sorted keys.
    ///
    /// Parsing the result gives equal arguments, and equal arguments give equal bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde_json::json;
    /// use training_plan::arguments::TrainingArguments;
    ///
    /// let arguments = TrainingArguments::parse(&json!({"batch_size": 16.0}))?;
    /// let exported = arguments.to_json();
    /// assert_eq!(exported["loader_args"]["batch_size"], 16);
    /// assert_eq!(TrainingArguments::parse(&exported)?, arguments);
    /// # Ok::<(), training_plan::arguments::ArgumentError>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        export::export(self)
    }
}
