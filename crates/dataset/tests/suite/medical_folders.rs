//! Medical folders: subjects with volumes, those that are left out and why, and that a change is noticed.

use dataset::{
    Comparison, Description, Kind, LoadingPlan, MedicalFolder, MedicalOptions, Options, Registered,
    Watch, compare,
};

use crate::nifti_files::{packed, volume};
use crate::{Laid, chain};

/// Five subjects: two whole, one without labels, one with two T1, one whose folders are empty.
pub(crate) fn ward() -> Laid {
    let (plain, small) = (volume(&[4, 4, 3]), packed(&volume(&[4, 4, 3])));
    let laid = Laid::new();
    laid.put("sub-01/T1w/x.nii.gz", &small)
        .put("sub-01/seg/y.nii", &plain)
        .put("sub-02/T1w/x.nii", &plain)
        .put("sub-02/seg/y.nii.gz", packed(&volume(&[4, 4, 2])))
        .put("sub-03/T1w/x.nii", &plain)
        .put("sub-04/T1w/x.nii", &plain)
        .put("sub-04/T1w/again.nii", &plain)
        .put("sub-04/seg/y.nii", &plain)
        .put("sub-05/T1w/readme.txt", "empty")
        .put("_derivatives/T1w/x.nii", "not looked at")
        .put("sub-01/_raw/x.nii", "not looked at")
        .put("participants.tsv", "participant_id\tage\tsex\tname\nsub-01\t61\t1\tAnn\nsub-04\t48\t2\tBob\nsub-02\tNA\t2\tEve\nsub-03\t70\t1\tJon\n");
    laid
}

pub(crate) fn whole(laid: &Laid) -> Description {
    Description {
        kind: None,
        table: Options { withheld: vec!["name".to_owned()], ..Options::default() },
        medical: MedicalOptions {
            modalities: vec!["T1w".to_owned(), "seg".to_owned()],
            demographics: Some(laid.path().join("participants.tsv")),
            subject_column: Some("participant_id".to_owned()),
        },
    }
}

fn subjects(registered: &Registered) -> &MedicalFolder {
    match registered {
        Registered::MedicalFolder(folder) => folder,
        other => panic!("{:?} is no medical folder", other.kind()),
    }
}

#[test]
fn subjects_with_all_that_is_needed_are_counted_and_others_left_out() {
    let laid = ward();
    let registered = laid.described_as(&whole(&laid), None).unwrap();
    let folder = subjects(&registered);
    assert_eq!((folder.subjects, folder.samples, folder.ignored), (5, 2, 1));
    let left_out = folder.left_out;
    assert_eq!((left_out.without_modality, left_out.several_images), (2, 1));
    assert_eq!(left_out.total() + folder.samples, folder.subjects);
    let modalities: Vec<_> = folder
        .modalities
        .iter()
        .map(|modality| (modality.name.as_str(), modality.subjects, modality.shapes.len()))
        .collect();
    assert_eq!(modalities, [("T1w", 3, 1), ("seg", 3, 2)]);
    assert_eq!(folder.modalities[0].types["uint8"], 5);
    let json = serde_json::to_string(&registered).unwrap();
    assert_eq!(serde_json::from_str::<Registered>(&json).unwrap(), registered);
    assert!(!json.contains("Ann"), "{json}");
}

#[test]
fn without_a_stated_modality_one_is_enough() {
    let registered = ward().described().unwrap();
    let folder = subjects(&registered);
    assert_eq!((registered.kind(), folder.samples), (Kind::MedicalFolder, 4));
    assert_eq!(folder.left_out.without_modality, 1);
}

#[test]
fn a_subject_that_the_demographics_do_not_name_is_left_out() {
    let laid = ward();
    laid.put("participants.tsv", "participant_id\tage\nsub-01\t61\nsub-09\t50\n");
    let registered = laid
        .described_as(&Description { table: Options::default(), ..whole(&laid) }, None)
        .unwrap();
    let folder = subjects(&registered);
    assert_eq!((folder.samples, folder.left_out.without_demographics), (1, 1));
}

#[test]
fn demographics_that_name_a_subject_twice_are_refused() {
    let laid = ward();
    laid.put("participants.tsv", "participant_id\tage\nsub-01\t61\nsub-01\t62\nsub-02\t3\n");
    let stated = Description { table: Options::default(), ..whole(&laid) };
    let error = laid.described_as(&stated, None).unwrap_err();
    assert_eq!(error.to_string(), "column \"participant_id\" names a subject again in 1 rows");
}

#[test]
fn a_table_of_demographics_that_cannot_be_read_is_named() {
    let laid = ward();
    let mut stated = Description { table: Options::default(), ..whole(&laid) };
    stated.medical.demographics = Some("absent.tsv".into());
    let error = laid.described_as(&stated, None).unwrap_err();
    assert!(error.to_string().contains("absent.tsv"), "{error}");
}

#[test]
fn a_plan_finds_a_modality_in_several_folders_names() {
    let laid = ward();
    laid.put("sub-06/T1_mprage/x.nii", volume(&[4, 4, 3]))
        .put("sub-06/seg/x.nii", volume(&[4, 4, 3]))
        .put("sub-07/T1_mprage/x.nii", volume(&[4, 4, 3]))
        .put("sub-07/T1w/x.nii", volume(&[4, 4, 3]))
        .put("sub-07/seg/x.nii", volume(&[4, 4, 3]))
        .put("sub-07/dwi/x.nii", volume(&[4, 4, 3]));
    let plan = "kind = \"medical-folder\"\nname = \"p\"\nversion = 1\n[modalities]\nT1 = [\"T1w\", \"T1_mprage\"]\nlabel = \"seg\"\n";
    let plan = LoadingPlan::parse(plan).unwrap();
    let stated = Description {
        medical: MedicalOptions {
            modalities: vec!["T1".to_owned(), "label".to_owned()],
            ..MedicalOptions::default()
        },
        ..Description::default()
    };
    let registered = laid.described_as(&stated, Some(&plan)).unwrap();
    let folder = subjects(&registered);
    assert_eq!((folder.samples, folder.left_out.several_images, folder.not_mapped), (3, 2, 1));
    assert_eq!(folder.modalities[0].name, "T1");
}

#[test]
fn a_broken_volume_refuses_the_folder_by_its_name() {
    let laid = ward();
    laid.put("sub-02/T1w/x.nii", &volume(&[4, 4, 3])[..380]);
    let expected =
        "file \"sub-02/T1w/x.nii\" cannot be used: the file ends before the last voxel does";
    assert_eq!(laid.refused(), expected);
}

#[test]
fn a_modality_that_nobody_has_and_an_unusable_folder_are_refused() {
    let laid = ward();
    let mut stated = whole(&laid);
    stated.medical.modalities.push("CT".to_owned());
    let error = laid.described_as(&stated, None).unwrap_err();
    assert_eq!(error.to_string(), "modality \"CT\" is in no subject's folder");
    let crowded = Laid::new();
    crowded.put("s/T1/a.nii", volume(&[2])).put("s/T1/b.nii", volume(&[2]));
    assert_eq!(crowded.refused(), "none of 1 subjects has what is asked for");
}

#[test]
fn a_changed_voxel_and_changed_demographics_are_noticed() {
    let laid = ward();
    let registered = laid.described_as(&whole(&laid), None).unwrap();
    let look = || compare(laid.path(), &registered, None, &mut Watch::nobody());
    assert_eq!(look().unwrap(), Comparison::Unchanged);
    let mut other = volume(&[4, 4, 3]);
    *other.last_mut().unwrap() += 1;
    laid.put("sub-02/T1w/x.nii", other);
    assert!(matches!(look(), Ok(Comparison::Changed(_))));
    laid.put("sub-02/T1w/x.nii", volume(&[4, 4, 3]));
    assert!(
        matches!(look(), Ok(Comparison::Touched(_))),
        "the bytes are the same, in another file"
    );
    laid.put(
        "participants.tsv",
        "participant_id\tage\tsex\tname\nsub-01\t62\t1\tAnn\nsub-02\t1\t1\tE\n",
    );
    assert!(matches!(look(), Ok(Comparison::Changed(_))));
    laid.remove("participants.tsv");
    let error = chain(&look().unwrap_err());
    assert!(
        error.contains("participants.tsv\" cannot be used: the file cannot be opened"),
        "{error}"
    );
}
