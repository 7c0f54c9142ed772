//! Every limit that an owner can set: met exactly it lets a round through, and exceeded by one it does not, with the
//! bound named. Which limits there are is asked of the node itself, so that a new one without a case fails here.

mod arguments;
mod grants;
mod policy;
mod statistics;

/// The names that an error lists as the known ones.
fn known(error: &str) -> Vec<String> {
    let (_, names) = error.split_once("expected one of ").expect("the known names are listed");
    names.split(", ").map(str::to_owned).collect()
}
