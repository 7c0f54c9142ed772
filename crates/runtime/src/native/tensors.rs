//! Parameters between files and the engine's model.

use std::path::Path;

use dataset::Interrupt;
use engine::Model;
use parameters::{Dtype, Durability, Reader, Schema, TensorSchema, Writer, header};
use protocol::detail::TensorDetail;
use protocol::{Code, Detail, Digester};

use crate::failure::with_causes;
use crate::{ExportSummary, Failure};

/// What a model's file holds.
pub(super) fn schema(model: &Model) -> Result<Schema, parameters::Error> {
    let tensors = model
        .parameters()
        .map(|parameter| TensorSchema::new(parameter.name, Dtype::F32, parameter.shape));
    Ok(Schema::new(tensors.collect())?)
}

/// Reads a file into a model and gives the file's description.
pub(super) fn read(
    path: &Path,
    model: &mut Model,
    interrupt: &mut Interrupt<'_>,
) -> Result<Option<String>, Failure> {
    let invalid = |error: parameters::Error| match &error {
        parameters::Error::Io { .. } => {
            Failure::new(Code::ParametersUnavailable, with_causes(&error))
        }
        _ => Failure::new(Code::ParametersInvalid, with_causes(&error)),
    };
    let reader = Reader::open(path).map_err(invalid)?;
    let expected = schema(model).map_err(invalid)?;
    let differences = expected.differences(reader.schema());
    if !differences.is_empty() {
        return Err(mismatch(&differences));
    }
    for (index, tensor) in reader.schema().tensors().iter().enumerate() {
        let values = model.values_mut(&tensor.name).expect("the schemas are equal");
        let mut buffer = vec![0; CHUNK.min(values.len()) * 4];
        for (place, chunk) in values.chunks_mut(CHUNK).enumerate() {
            interrupt.look()?;
            let bytes = &mut buffer[..chunk.len() * 4];
            reader.read_at(index, (place * CHUNK * 4) as u64, bytes).map_err(invalid)?;
            for (value, four) in chunk.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*four);
            }
            if has_non_finite(chunk) {
                // A second look, which finds out which value it is.
                reader.check_finite().map_err(invalid)?;
            }
        }
    }
    Ok(reader.description().map(str::to_owned))
}

/// Writes a model's parameters, and hashes the file's bytes on the way.
pub(super) fn write(
    model: &Model,
    description: Option<&str>,
    path: &Path,
    interrupt: &mut Interrupt<'_>,
) -> Result<ExportSummary, Failure> {
    let failed =
        |error: parameters::Error| Failure::new(Code::PlanExportFailed, with_causes(&error));
    let schema = schema(model).map_err(failed)?;
    let mut digester = Digester::new();
    let head = header::encode(&schema, description).map_err(|error| failed(error.into()))?;
    digester.update(&head);
    let mut writer = Writer::create(path, &schema, description).map_err(failed)?;
    let names: Vec<String> = writer.order().iter().map(|tensor| tensor.name.clone()).collect();
    let mut buffer = vec![0; CHUNK * 4];
    for name in names {
        let parameter = model.parameters().find(|parameter| parameter.name == name);
        for chunk in parameter.expect("the schema is the model's").values.chunks(CHUNK) {
            interrupt.look()?;
            let bytes = &mut buffer[..chunk.len() * 4];
            for (four, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(chunk) {
                *four = value.to_le_bytes();
            }
            digester.update(bytes);
            writer.append(bytes).map_err(failed)?;
        }
    }
    // A file that a loss of power takes is made again: whoever wrote its digest down will miss it.
    let size = writer.finish(Durability::Renamed).map_err(failed)?;
    Ok(ExportSummary { digest: digester.finish(), size })
}

/// Whether a value is infinite or no number: then all bits of its exponent are set.
fn has_non_finite(values: &[f32]) -> bool {
    // Without an early end the compiler looks at many values at once.
    values.iter().fold(false, |found, value| found | !value.is_finite())
}

pub(crate) fn mismatch(differences: &[parameters::schema::Difference]) -> Failure {
    let shown = &differences[..differences.len().min(MOST_SHOWN)];
    let details = |side: fn(&parameters::schema::Difference) -> &Option<TensorSchema>| {
        shown.iter().filter_map(|difference| side(difference).as_ref().map(detail)).collect()
    };
    let local: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let failure = Failure::new(Code::ParametersMismatch, local.join("; "));
    failure.with_detail(Detail::Tensors {
        expected: details(|difference| &difference.expected),
        found: details(|difference| &difference.actual),
    })
}

fn detail(tensor: &TensorSchema) -> TensorDetail {
    TensorDetail {
        name: tensor.name.clone(),
        shape: tensor.shape.iter().map(|extent| *extent as u64).collect(),
        dtype: tensor.dtype.to_string(),
    }
}

/// The numbers that are read and written at a time: few enough to stay in a processor's cache.
const CHUNK: usize = 1 << 16;

/// The most tensors that a detail lists.
const MOST_SHOWN: usize = 16;
