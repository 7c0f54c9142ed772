//! Image folders: what is registered, what is refused, and that a change is noticed.

use std::ops::ControlFlow;

use dataset::{
    Comparison, Description, Error, ImageFolder, Interrupt, Kind, LoadingPlan, Progress,
    Registered, Watch, compare, describe,
};

use crate::{Laid, fixture};

fn patches() -> Laid {
    let laid = Laid::new();
    laid.put("benign/b.png", fixture("alpha.png"))
        .put("benign/a.PNG", fixture("palette.png"))
        .put("benign/scanner 2/c.jpeg", fixture("progressive.jpg"))
        .put("malignant/a.jpg", fixture("colour.jpg"))
        .put("malignant/notes.txt", "two")
        .put("malignant/.hidden.jpg", "none")
        .put("README.md", "patches");
    laid
}

fn images(registered: &Registered) -> &ImageFolder {
    match registered {
        Registered::ImageFolder(folder) => folder,
        other => panic!("{:?} is no image folder", other.kind()),
    }
}

#[test]
fn a_folder_of_classes_is_registered_with_its_counts() {
    let registered = patches().described().unwrap();
    let folder = images(&registered);
    let classes: Vec<_> =
        folder.classes.iter().map(|class| (class.name.as_str(), class.samples)).collect();
    assert_eq!(classes, [("benign", 3), ("malignant", 1)]);
    assert_eq!((folder.samples, folder.ignored, folder.not_mapped), (4, 2, 0));
    assert_eq!((folder.width, folder.height), ((8, 40), (8, 24)));
    let formats: Vec<_> =
        folder.formats.iter().map(|(format, count)| (format.as_str(), *count)).collect();
    assert_eq!(formats, [("jpeg, rgb", 2), ("png, palette", 1), ("png, rgba", 1)]);
    assert_eq!((folder.listing.files, registered.samples()), (4, 4));
    let json = serde_json::to_string(&registered).unwrap();
    assert!(json.starts_with("{\"kind\":\"image-folder\""), "{json}");
    assert_eq!(serde_json::from_str::<Registered>(&json).unwrap(), registered);
}

#[test]
fn a_plan_names_the_classes_and_leaves_other_folders_out() {
    let laid = patches();
    laid.put("unsure/x.jpg", fixture("grey.jpg"));
    let plan = LoadingPlan::parse(
        "kind = \"image-folder\"\nname = \"p\"\nversion = 1\n[classes]\nbad = [\"malignant\", \"M\"]\ngood = \"benign\"\nrare = \"R\"\n",
    )
    .unwrap();
    let registered = laid.described_as(&Description::default(), Some(&plan)).unwrap();
    let folder = images(&registered);
    let classes: Vec<_> =
        folder.classes.iter().map(|class| (class.name.as_str(), class.samples)).collect();
    assert_eq!(
        classes,
        [("bad", 1), ("good", 3), ("rare", 0)],
        "a site without a class keeps its number"
    );
    assert_eq!(folder.not_mapped, 1);
    assert_eq!(laid.described().unwrap().digest(), registered.digest(), "the content is the same");
}

#[test]
fn the_same_images_have_the_same_digest_wherever_they_lie() {
    let (one, other) = (patches().described().unwrap(), patches().described().unwrap());
    assert_eq!(one.digest(), other.digest());
    let renamed = patches();
    renamed.put("malignant/b.jpg", fixture("colour.jpg")).remove("malignant/a.jpg");
    assert_ne!(renamed.described().unwrap().digest(), one.digest());
}

#[test]
fn a_change_is_noticed_and_a_touched_file_is_none() {
    let laid = patches();
    let registered = laid.described().unwrap();
    let look = || compare(laid.path(), &registered, None, &mut Watch::nobody()).unwrap();
    assert_eq!(look(), Comparison::Unchanged);
    laid.put("benign/b.png", fixture("alpha.png"));
    assert!(matches!(look(), Comparison::Touched(_)));
    laid.put("malignant/d.jpg", fixture("grey.jpg"));
    let Comparison::Changed(change) = look() else { panic!("nothing was noticed") };
    assert_eq!(change.now.samples(), 5);
}

#[test]
fn one_broken_image_refuses_the_folder_by_its_name() {
    let half = fixture("colour.jpg")[..300].to_vec();
    let cases: [(&[u8], &str); 4] = [
        (&half, "the file ends before the image does"),
        (b"", "the file is neither PNG nor JPEG"),
        (b"%PDF-1.7", "the file is neither PNG nor JPEG"),
        (&fixture("alpha.png")[..40], "the file ends before the image does"),
    ];
    for (bytes, words) in cases {
        let laid = patches();
        laid.put("malignant/broken.jpg", bytes);
        let expected = format!("file \"malignant/broken.jpg\" cannot be used: {words}");
        assert_eq!(laid.refused(), expected);
    }
}

#[test]
fn a_link_that_leads_out_is_refused_and_one_inside_is_followed() {
    let laid = patches();
    let link = |target: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(target, laid.path().join(name)).unwrap();
    };
    link(&laid.path().join("benign/b.png"), "malignant/linked.png");
    assert_eq!(laid.described().unwrap().samples(), 5);
    let outside = Laid::new();
    outside.put("x.png", fixture("alpha.png"));
    link(&outside.path().join("x.png"), "malignant/out.png");
    let expected =
        "file \"malignant/out.png\" cannot be used: the link leads out of the dataset's folder";
    assert_eq!(laid.refused(), expected);
    laid.remove("malignant/out.png");
    link(outside.path(), "elsewhere");
    assert!(laid.refused().starts_with("file \"elsewhere\" cannot be used: the link leads out"));
    laid.remove("elsewhere");
    link(laid.path(), "malignant/again");
    assert!(
        laid.refused().contains("exceeds the limit of 8 folders in one another"),
        "{}",
        laid.refused()
    );
}

#[test]
fn what_is_no_image_folder_is_told_as_what_it_is() {
    assert_eq!(Laid::new().refused(), "the folder is neither an image folder nor a medical folder");
    let flat = Laid::new();
    flat.put("a.png", fixture("alpha.png"));
    assert_eq!(flat.refused(), "the folder is neither an image folder nor a medical folder");
    let stated = Description { kind: Some(Kind::ImageFolder), ..Description::default() };
    let error = flat.described_as(&stated, None).unwrap_err();
    assert_eq!(error.to_string(), "no folder in the dataset's folder holds a PNG or JPEG image");
    let file = crate::write("a,b\n1,2\n");
    let error = describe(&file.path, &stated, None, &mut Watch::nobody()).unwrap_err();
    assert!(matches!(error, Error::NotAFolder));
}

#[test]
fn whoever_waits_sees_the_progress_and_can_end_it() {
    let laid = patches();
    let mut told: Vec<Progress> = Vec::new();
    let mut tell = |progress| told.push(progress);
    let mut watch = Watch::new(Interrupt::never()).telling(&mut tell);
    describe(laid.path(), &Description::default(), None, &mut watch).unwrap();
    let last = told.last().unwrap();
    assert_eq!((told.len(), last.files, last.files_total), (5, 4, 4));
    assert_eq!(last.bytes, last.bytes_total);

    let mut questions = 0;
    let mut goes_on = || {
        questions += 1;
        if questions > 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut watch = Watch::new(Interrupt::by(&mut goes_on));
    let stopped = describe(laid.path(), &Description::default(), None, &mut watch);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}
