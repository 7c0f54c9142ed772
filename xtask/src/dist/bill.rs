//! The list of what the program is made of, as CycloneDX 1.6 (a software bill of materials).
//!
//! It names what is linked into the shipped program and nothing else: no tests' dependencies, no build scripts', no
//! macros. Which those are, cargo says for this package, its features and its target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::program::Program;

/// A crate by its name and version.
type Key = (String, String);

/// Makes the list for a program.
pub(super) fn of(root: &Path, program: &Program, version: &str, moment: u64) -> Result<Vec<u8>> {
    let target = program.linkage().target();
    let linked = linked(root, target)?;
    let known = known(root, target)?;
    let sums = sums(root)?;
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for key in &linked {
        let Known { description, licence, ours, needs } =
            known.get(key).with_context(|| format!("cargo does not know {} {}", key.0, key.1))?;
        let needs: Vec<String> = needs.intersection(&linked).map(reference).collect();
        dependencies.push(json!({"ref": reference(key), "dependsOn": needs}));
        if key.0 == PROGRAM {
            continue;
        }
        let sum = sums.get(key);
        ensure!(*ours || sum.is_some(), "Cargo.lock has no checksum of {} {}", key.0, key.1);
        components.push(component(key, description.as_deref(), licence.as_deref(), sum));
    }
    let program_key = (PROGRAM.to_owned(), version.to_owned());
    ensure!(linked.contains(&program_key), "cargo links no {PROGRAM} {version}");
    let mut bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(moment)?,
            "component": {
                "type": "application",
                "bom-ref": reference(&program_key),
                "name": PROGRAM,
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": super::hexadecimal(&Sha256::digest(program.bytes()))}],
                "licenses": [{"expression": "Apache-2.0"}],
                "purl": format!("pkg:generic/{PROGRAM}@{version}"),
                "properties": [
                    {"name": "wardround:target", "value": target},
                    {"name": "wardround:linkage", "value": program.linkage().to_string()},
                ],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let serial = serial_number(&Sha256::digest(bill.to_string()));
    let fields = bill.as_object_mut().context("a list is an object")?;
    fields.insert("serialNumber".to_owned(), Value::from(serial));
    Ok(format!("{bill:#}\n").into_bytes())
}

/// What cargo tells of a crate.
struct Known {
    description: Option<String>,
    licence: Option<String>,
    ours: bool,
    needs: BTreeSet<Key>,
}

/// Every crate that is linked into the program.
fn linked(root: &Path, target: &str) -> Result<BTreeSet<Key>> {
    let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
    let text =
        cargo(root, "tree", &[&["--package", PROGRAM, "--target", target], &edges[..]].concat())?;
    let named = text.lines().map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next(), words.next());
        let version = version.and_then(|version| version.strip_prefix('v'));
        let key = name.zip(version).with_context(|| format!("cargo tree prints \"{line}\""))?;
        Ok((key.0.to_owned(), key.1.to_owned()))
    });
    named.collect()
}

/// Every crate of the workspace and what it needs.
fn known(root: &Path, target: &str) -> Result<BTreeMap<Key, Known>> {
    let arguments = ["--format-version", "1", "--filter-platform", target];
    let metadata: Value = serde_json::from_str(&cargo(root, "metadata", &arguments)?)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    let mut known = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let named = text(&package["name"]).zip(text(&package["version"]));
        let (id, key) = text(&package["id"]).zip(named).context("cargo names its packages")?;
        let one = Known {
            description: text(&package["description"]),
            licence: text(&package["license"]),
            ours: package["source"].is_null(),
            needs: BTreeSet::new(),
        };
        keys.insert(id, key.clone());
        known.insert(key, one);
    }
    for node in list(&metadata["resolve"]["nodes"]) {
        let key = node["id"]
            .as_str()
            .and_then(|id| keys.get(id))
            .context("cargo resolves what it names")?;
        let normal = list(&node["deps"])
            .into_iter()
            .filter(|edge| list(&edge["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        let needs = normal.filter_map(|edge| keys.get(edge["pkg"].as_str()?).cloned()).collect();
        known.get_mut(key).context("cargo resolves what it names")?.needs = needs;
    }
    Ok(known)
}

/// The checksums of the crates' archives.
fn sums(root: &Path) -> Result<BTreeMap<Key, String>> {
    let lock: toml::Table = std::fs::read_to_string(root.join("Cargo.lock"))?.parse()?;
    let packages = lock["package"].as_array().context("Cargo.lock lists packages")?;
    let text = |package: &toml::Value, key: &str| package.get(key)?.as_str().map(str::to_owned);
    let sums = packages.iter().filter_map(|package| {
        let key = (text(package, "name")?, text(package, "version")?);
        Some((key, text(package, "checksum")?))
    });
    Ok(sums.collect())
}

fn component(
    key: &Key,
    description: Option<&str>,
    licence: Option<&str>,
    sum: Option<&String>,
) -> Value {
    let (name, version) = key;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", "library".into());
    put("bom-ref", reference(key).into());
    put("name", name.as_str().into());
    put("version", version.as_str().into());
    if let Some(description) = description {
        put("description", description.split_whitespace().collect::<Vec<_>>().join(" ").into());
    }
    put("scope", "required".into());
    if let Some(sum) = sum {
        put("hashes", json!([{"alg": "SHA-256", "content": sum}]));
    }
    if let Some(licence) = licence {
        // Crates of long ago write a slash where SPDX says OR.
        put("licenses", json!([{"expression": licence.replace('/', " OR ")}]));
    }
    if sum.is_some() {
        put("purl", purl(key).into());
        let url = format!("https://crates.io/crates/{name}/{version}");
        put("externalReferences", json!([{"type": "distribution", "url": url}]));
    }
    Value::Object(fields)
}

/// How the list names a crate.
fn reference(key: &Key) -> String {
    purl(key)
}

fn purl((name, version): &Key) -> String {
    // A version's build part begins with a plus, which a purl escapes.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// An identifier of the list itself that is the same for the same list: a UUID of version 8.
fn serial_number(digest: &[u8]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = super::hexadecimal(&bytes);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    format!("urn:uuid:{}", parts.join("-"))
}

fn timestamp(moment: u64) -> Result<String> {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(moment)?)?;
    let (hour, minute, second) = at.to_hms();
    let (year, month, day) = at.to_calendar_date();
    let month = u8::from(month);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

fn cargo(root: &Path, command: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("cargo")
        .args([command, "--locked"])
        .args(arguments)
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo {command} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

const PROGRAM: &str = "wardround";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_of_the_old_way_is_an_expression_and_a_build_part_is_escaped() {
        let key = ("zstd-sys".to_owned(), "2.0.1+zstd.1".to_owned());
        let sum = "ab".repeat(32);
        let made = component(&key, Some("Low\n level"), Some("MIT/Apache-2.0"), Some(&sum));
        assert_eq!(made["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(made["purl"], "pkg:cargo/zstd-sys@2.0.1%2Bzstd.1");
        assert_eq!(made["hashes"][0]["content"], sum);
        assert_eq!(made["description"], "Low level");
        let own = component(&key, None, None, None);
        assert!(own.get("purl").is_none() && own.get("hashes").is_none());
    }

    #[test]
    fn the_program_links_what_it_ships_and_no_test_or_macro() {
        let linked = linked(&crate::root(), "x86_64-unknown-linux-gnu").unwrap();
        let names: BTreeSet<&str> = linked.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["wardround", "node", "sandbox", "rustls", "libsqlite3-sys", "burn-flex"] {
            assert!(names.contains(name), "{name}");
        }
        for name in ["insta", "proptest", "xtask", "federation", "serde_derive", "protox", "cc"] {
            assert!(!names.contains(name), "{name}");
        }
    }

    #[test]
    fn times_and_serial_numbers_have_their_form() {
        assert_eq!(timestamp(1_700_000_000).unwrap(), "2023-11-14T22:13:20Z");
        let serial = serial_number(&[0xff; 32]);
        assert_eq!(serial, "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
    }
}
