//! Manifests: the samples in one order, what is left out, and that a changed folder grants nothing.

use dataset::granted::{FolderGrant, GrantedFolder, folder_manifest};
use dataset::loading_plan::attach;
use dataset::{
    AttachedPlan, Comparison, Error, Exclusions, Glance, Interrupt, LoadingPlan, Registered, Watch,
    compare, glance,
};
use serde_json::{Value, json};

use crate::medical_folders::{ward, whole};
use crate::nifti_files::volume;
use crate::{Laid, fixture};

fn manifest(grant: &FolderGrant<'_>) -> Result<(Value, GrantedFolder), Error> {
    let mut text = Vec::new();
    let granted = folder_manifest(grant, &mut text, &mut Interrupt::never())?;
    Ok((serde_json::from_slice(&text).unwrap(), granted))
}

fn all<'a>(laid: &'a Laid, registration: &'a Registered) -> FolderGrant<'a> {
    FolderGrant {
        path: laid.path(),
        registration,
        loading_plan: None,
        modalities: &[],
        exclusions: Exclusions::none(),
    }
}

fn under(laid: &Laid, registered: &Registered, plan: &LoadingPlan) -> AttachedPlan {
    attach(plan.clone(), laid.path(), registered, &mut Interrupt::never()).unwrap()
}

#[test]
fn a_manifest_lists_images_by_folder_and_name_with_their_class() {
    let laid = Laid::new();
    laid.put("b/2.jpg", fixture("grey.jpg"))
        .put("b/1.png", fixture("alpha.png"))
        .put("a/deep/3.png", fixture("alpha.png"))
        .put("a/z.png", fixture("alpha.png"));
    let registered = laid.described().unwrap();
    let (text, granted) = manifest(&all(&laid, &registered)).unwrap();
    assert_eq!(
        text,
        json!({
            "format": "wardround-manifest/1", "kind": "image_folder", "classes": ["a", "b"],
            "samples": [
                {"path": "a/z.png", "class": 0}, {"path": "a/deep/3.png", "class": 0},
                {"path": "b/1.png", "class": 1}, {"path": "b/2.jpg", "class": 1},
            ],
            "left_out": {"excluded": 0, "not_mapped": 0, "several_images": 0, "without_modality": 0,
                "without_demographics": 0},
        })
    );
    assert_eq!((granted.samples, granted.labels), (4, Some(vec![0, 0, 1, 1])));
}

#[test]
fn a_manifest_lists_subjects_with_their_volumes_and_demographics() {
    let laid = ward();
    let registered = laid.described_as(&whole(&laid), None).unwrap();
    let (text, granted) = manifest(&all(&laid, &registered)).unwrap();
    assert_eq!(text["modalities"], json!(["T1w", "seg"]));
    assert_eq!(
        text["columns"],
        json!([
            {"name": "age", "type": "integer"}, {"name": "sex", "type": "integer"},
        ])
    );
    assert_eq!(
        text["samples"],
        json!([
            {"images": {"T1w": "sub-01/T1w/x.nii.gz", "seg": "sub-01/seg/y.nii"}, "demographics": [61, 1]},
            {"images": {"T1w": "sub-02/T1w/x.nii", "seg": "sub-02/seg/y.nii.gz"}, "demographics": [null, 2]},
        ])
    );
    assert_eq!(granted.samples, registered.samples());
    assert_eq!((granted.left_out.without_modality, granted.left_out.several_images), (2, 1));
    let modalities = ["T1w".to_owned()];
    let grant = FolderGrant { modalities: &modalities, ..all(&laid, &registered) };
    let (text, granted) = manifest(&grant).unwrap();
    assert_eq!(granted.samples, 3);
    assert_eq!(
        text["samples"][2],
        json!({"images": {"T1w": "sub-03/T1w/x.nii"}, "demographics": [70, 1]})
    );
    let modalities = ["CT".to_owned()];
    let grant = FolderGrant { modalities: &modalities, ..all(&laid, &registered) };
    assert!(matches!(manifest(&grant), Err(Error::UnknownModality(_))));
}

#[test]
fn a_manifest_is_under_the_plan() {
    let laid = ward();
    let plan = LoadingPlan::parse(
        "kind = \"medical-folder\"\nname = \"p\"\nversion = 1\n[modalities]\nT1 = \"T1w\"\nlabel = \"seg\"\n[columns]\nyears = \"age\"\n[categories.sex]\n1 = \"f\"\n2 = \"m\"\n[units.years]\nfrom = \"a\"\nto = \"months\"\nfactor = 12\n",
    )
    .unwrap();
    let mut stated = whole(&laid);
    stated.medical.modalities = vec!["T1".to_owned(), "label".to_owned()];
    let registered = laid.described_as(&stated, Some(&plan)).unwrap();
    let attached = under(&laid, &registered, &plan);
    let grant = FolderGrant { loading_plan: Some(&attached), ..all(&laid, &registered) };
    let (text, _) = manifest(&grant).unwrap();
    assert_eq!(text["columns"][0], json!({"name": "years", "type": "number"}));
    assert_eq!(
        text["samples"],
        json!([
            {"images": {"T1": "sub-01/T1w/x.nii.gz", "label": "sub-01/seg/y.nii"}, "demographics": [732.0, "f"]},
            {"images": {"T1": "sub-02/T1w/x.nii", "label": "sub-02/seg/y.nii.gz"}, "demographics": [null, "m"]},
        ])
    );
}

#[test]
fn a_changed_folder_grants_nothing_and_a_touched_one_does() {
    let laid = ward();
    let registered = laid.described_as(&whole(&laid), None).unwrap();
    laid.put("sub-01/seg/y.nii", volume(&[4, 4, 3]));
    assert!(manifest(&all(&laid, &registered)).is_ok(), "the same bytes were written again");
    let mut other = volume(&[4, 4, 3]);
    other[399] ^= 1;
    laid.put("sub-01/seg/y.nii", other);
    assert!(matches!(manifest(&all(&laid, &registered)), Err(Error::Changed)));
    laid.put("sub-01/seg/y.nii", volume(&[4, 4, 3]));
    laid.put("sub-08/T1w/x.nii", volume(&[4, 4, 3]));
    assert!(matches!(manifest(&all(&laid, &registered)), Err(Error::Changed)));

    let images = Laid::new();
    images.put("a/1.png", fixture("alpha.png")).put("b/2.jpg", fixture("grey.jpg"));
    let registered = images.described().unwrap();
    let mut flipped = fixture("grey.jpg");
    let last = flipped.len() - 5;
    flipped[last] ^= 4;
    images.put("b/2.jpg", flipped);
    assert!(matches!(manifest(&all(&images, &registered)), Err(Error::Changed)));
}

#[test]
fn a_change_of_the_same_size_and_time_is_noticed() {
    let images = Laid::new();
    images.put("a/1.png", fixture("alpha.png")).put("b/2.jpg", fixture("grey.jpg"));
    let registered = images.described().unwrap();
    let path = images.path().join("b/2.jpg");
    let modified = path.metadata().unwrap().modified().unwrap();
    let mut flipped = fixture("grey.jpg");
    let last = flipped.len() - 5;
    flipped[last] ^= 4;
    images.put("b/2.jpg", flipped);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(
        path.metadata().unwrap().modified().unwrap(),
        modified,
        "nothing shows from outside"
    );
    assert!(matches!(manifest(&all(&images, &registered)), Err(Error::Changed)));
}

#[test]
fn a_touched_folder_is_registered_again_without_a_change() {
    let images = Laid::new();
    images.put("a/1.png", fixture("alpha.png"));
    let registered = images.described().unwrap();
    let look = |known: &Registered| {
        let seen = glance(images.path(), known, &mut Interrupt::never()).unwrap();
        (seen, compare(images.path(), known, None, &mut Watch::nobody()).unwrap())
    };
    assert_eq!(look(&registered), (Glance::Untouched, Comparison::Unchanged));
    images.put("a/1.png", fixture("alpha.png"));
    let (seen, compared) = look(&registered);
    assert_eq!(seen, Glance::Touched);
    let Comparison::Touched(now) = compared else { panic!("{compared:?}") };
    assert_eq!(now.digest(), registered.digest());
    assert_eq!(look(&now), (Glance::Untouched, Comparison::Unchanged));
    images.put("a/2.png", fixture("alpha.png"));
    assert_eq!(look(&now).0, Glance::Resized);
}

#[test]
fn a_table_has_no_manifest() {
    let registered = crate::registered("a,b\n1,2\n").unwrap().into();
    let laid = Laid::new();
    let error = manifest(&all(&laid, &registered)).unwrap_err();
    assert_eq!(error.to_string(), "the dataset is a table, not an image folder");
}
