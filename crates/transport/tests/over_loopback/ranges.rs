//! What the routes answer, byte by byte on the wire.

use crate::ward::{Ward, body, header, reference, status};

#[tokio::test]
async fn a_whole_file_carries_its_digest_and_length() {
    let ward = Ward::open().await;
    let digest = ward.keep(b"parameters").digest;
    let answer = ward.ask(&format!("GET /artifacts/{digest}"), "", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(header(&answer, "etag"), Some(&*format!("\"{digest}\"")));
    assert_eq!(header(&answer, "content-length"), Some("10"));
    assert_eq!(header(&answer, "accept-ranges"), Some("bytes"));
    assert_eq!(body(&answer), "parameters");
    let answer = ward.ask(&format!("HEAD /artifacts/{digest}"), "", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(header(&answer, "content-length"), Some("10"));
    assert_eq!(body(&answer), "");
}

#[tokio::test]
async fn ranges_are_cut_at_the_edges_of_the_file() {
    let ward = Ward::open().await;
    let digest = ward.keep(b"parameters").digest;
    for (range, expected, content_range, content) in [
        ("bytes=0-3", 206, Some("bytes 0-3/10"), "para"),
        ("bytes=9-9", 206, Some("bytes 9-9/10"), "s"),
        ("bytes=4-", 206, Some("bytes 4-9/10"), "meters"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "ers"),
        ("bytes=-99", 206, Some("bytes 0-9/10"), "parameters"),
        ("bytes=5-99", 206, Some("bytes 5-9/10"), "eters"),
        ("bytes=10-", 416, Some("bytes */10"), ""),
        ("bytes=-0", 416, Some("bytes */10"), ""),
        ("bytes=0-1,3-4", 200, None, "parameters"),
        ("bytes=5-3", 200, None, "parameters"),
        ("bytes=99999999999999999999-", 200, None, "parameters"),
        ("letters=0-3", 200, None, "parameters"),
    ] {
        let line = format!("GET /artifacts/{digest}");
        let answer = ward.ask(&line, &format!("range: {range}\r\n"), "").await;
        assert_eq!(status(&answer), expected, "{range}");
        assert_eq!(header(&answer, "content-range"), content_range, "{range}");
        assert_eq!(body(&answer), content, "{range}");
        assert_eq!(header(&answer, "content-length"), Some(&*content.len().to_string()), "{range}");
    }
}

#[tokio::test]
async fn a_file_the_caller_has_is_not_sent() {
    let ward = Ward::open().await;
    let digest = ward.keep(b"parameters").digest;
    let line = format!("GET /artifacts/{digest}");
    let answer = ward.ask(&line, &format!("if-none-match: \"{digest}\"\r\n"), "").await;
    assert_eq!((status(&answer), body(&answer)), (304, ""));
    let answer = ward.ask(&line, "if-none-match: \"sha256:00\"\r\n", "").await;
    assert_eq!((status(&answer), body(&answer)), (200, "parameters"));
}

#[tokio::test]
async fn an_upload_is_begun_appended_asked_about_and_completed() {
    let ward = Ward::open().await;
    let reference = reference(b"parameters");
    let begin = format!("{{\"digest\":\"{}\",\"size\":10}}", reference.digest);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    assert_eq!(status(&answer), 201);
    let location = header(&answer, "location").unwrap().to_owned();
    let state: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(state["offset"], 0);
    assert_eq!(state["complete"], false);
    assert_eq!(location, format!("/uploads/{}", state["id"].as_str().unwrap()));
    let patch = format!("PATCH {location}");
    let answer = ward.ask(&patch, "upload-offset: 0\r\n", "param").await;
    assert_eq!((status(&answer), header(&answer, "upload-offset")), (204, Some("5")));
    let answer = ward.ask(&format!("HEAD {location}"), "", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(header(&answer, "upload-offset"), Some("5"));
    assert_eq!(header(&answer, "upload-length"), Some("10"));
    let answer = ward.ask(&patch, "upload-offset: 4\r\n", "meters").await;
    assert_eq!((status(&answer), header(&answer, "upload-offset")), (409, Some("5")));
    let answer = ward.ask(&patch, "upload-offset: 5\r\n", "eters and more").await;
    assert_eq!(status(&answer), 413);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    let state: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!((status(&answer), state["offset"].as_u64()), (201, Some(5)));
    let answer = ward.ask(&patch, "upload-offset: 5\r\n", "eters").await;
    assert_eq!((status(&answer), header(&answer, "upload-offset")), (200, Some("10")));
    assert_eq!(ward.kept(&reference), b"parameters");
    let answer = ward.ask(&format!("HEAD {location}"), "", "").await;
    assert_eq!(status(&answer), 404);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    let state: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!((status(&answer), state["complete"].as_bool()), (200, Some(true)));
}

#[tokio::test]
async fn a_chunked_body_may_not_grow_beyond_what_was_declared() {
    let ward = Ward::open().await;
    let reference = reference(b"parameters");
    let begin = format!("{{\"digest\":\"{}\",\"size\":10}}", reference.digest);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    let location = header(&answer, "location").unwrap();
    let request = format!(
        "PATCH {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nupload-offset: 0\r\n\
         wardround-caller: node:north\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nparam\r\n8\r\neters---\r\n0\r\n\r\n"
    );
    assert_eq!(status(&ward.raw(request.as_bytes()).await), 413);
    assert_eq!(ward.shelf.store.size(&reference.digest), None);
}

#[tokio::test]
async fn another_callers_upload_is_not_there() {
    let ward = Ward::open().await;
    let begin = format!("{{\"digest\":\"{}\",\"size\":10}}", reference(b"parameters").digest);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    let location = header(&answer, "location").unwrap();
    let request = format!(
        "HEAD {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         wardround-caller: node:south\r\n\r\n"
    );
    assert_eq!(status(&ward.raw(request.as_bytes()).await), 404);
}
