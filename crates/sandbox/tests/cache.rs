//! The cache of images: what is kept is found again, and what was touched by others is never mapped.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use common::{LANGUAGE, invocation, leak, open, template_of};
use futures::executor::block_on;
use greensand_guest_templates::{Artefact, GuestKind, GuestTemplate};
use greensand_sandbox::{
    ImageError, ImageKeeping, ImageOrigin, ImageStage, ImageStatus, OpenSandboxError, Sandbox, SandboxSettings,
    UnsafeCacheError,
};
use greensand_types::{FunctionRuntime, Language};

fn language() -> Language {
    LANGUAGE.parse().unwrap()
}

fn prepare(sandbox: &Sandbox) -> (ImageOrigin, ImageKeeping) {
    let report = sandbox.prepare_image(&language(), &|_| {}).unwrap();
    (report.origin, report.keeping)
}

fn is_made(origin: ImageOrigin) -> bool {
    matches!(origin, ImageOrigin::Made { .. })
}

#[track_caller]
fn check_works(sandbox: &Sandbox) {
    let outcome = block_on(sandbox.invoke(invocation("a", "[1]"))).unwrap();
    assert_eq!(outcome.value().unwrap().get(), "[1]");
    let outcome = block_on(sandbox.invoke(invocation("Lone", "[]"))).unwrap();
    assert_eq!(outcome.value().unwrap().get(), "[1]");
}

fn file_with_ending(folder: &Path, ending: &str) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|found| found == ending)).unwrap()
}

#[test]
fn an_image_is_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("new").join("cache");
    let sandbox = open(&cache, 1);
    assert_eq!(sandbox.image_status(&language()), ImageStatus::Missing);
    let (origin, keeping) = prepare(&sandbox);
    assert!(is_made(origin), "{origin:?}");
    assert!(matches!(keeping, ImageKeeping::Kept { bytes } if bytes > 1000), "{keeping:?}");
    assert_eq!(prepare(&sandbox).0, ImageOrigin::Open);
    let again = open(&cache, 1);
    assert!(matches!(again.image_status(&language()), ImageStatus::Cached { .. }));
    assert_eq!(prepare(&again).0, ImageOrigin::Cache);
    check_works(&again);
    assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(cache.join("key")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn progress_goes_through_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Mutex::new(Vec::new());
    open(folder.path(), 1).prepare_image(&language(), &|progress| seen.lock().unwrap().push(progress)).unwrap();
    let seen = seen.into_inner().unwrap();
    let every = ImageStage::ALL.into_iter().filter(|stage| *stage != ImageStage::Packages);
    assert!(seen.iter().map(|progress| progress.stage).eq(every), "{seen:?}");
    assert!(seen.is_sorted_by(|one, next| one.fraction < next.fraction));
}

/// Changes the cache, and checks that the image is refused, made anew, and works.
#[track_caller]
fn check_refused(change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    prepare(&open(folder.path(), 1));
    change(folder.path());
    let sandbox = open(folder.path(), 1);
    assert!(!matches!(sandbox.image_status(&language()), ImageStatus::Cached { .. }));
    assert!(is_made(prepare(&sandbox).0));
    check_works(&sandbox);
    assert_eq!(prepare(&open(folder.path(), 1)).0, ImageOrigin::Cache);
}

#[test]
fn changed_code_is_made_anew() {
    check_refused(|folder| {
        let path = file_with_ending(folder, "code");
        let mut code = fs::read(&path).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        fs::write(&path, code).unwrap();
    });
}

#[test]
fn truncated_code_is_made_anew() {
    check_refused(|folder| {
        let path = file_with_ending(folder, "code");
        let code = fs::read(&path).unwrap();
        fs::write(&path, &code[..code.len() - 1]).unwrap();
    });
}

#[test]
fn missing_code_is_made_anew() {
    check_refused(|folder| fs::remove_file(file_with_ending(folder, "code")).unwrap());
}

#[test]
fn a_truncated_library_is_made_anew() {
    check_refused(|folder| fs::write(file_with_ending(folder, "library"), "").unwrap());
}

#[test]
fn a_changed_entry_is_made_anew() {
    check_refused(|folder| {
        let path = file_with_ending(folder, "image");
        let entry = fs::read_to_string(&path).unwrap();
        fs::write(&path, entry.replace("\"bytes\":", "\"bytes\": ")).unwrap();
    });
    check_refused(|folder| fs::write(file_with_ending(folder, "image"), "{}").unwrap());
    check_refused(|folder| fs::write(file_with_ending(folder, "image"), "").unwrap());
}

#[test]
fn an_entry_of_another_key_is_made_anew() {
    check_refused(|folder| fs::write(folder.join("key"), [7; 32]).unwrap());
    check_refused(|folder| fs::write(folder.join("key"), "short").unwrap());
    check_refused(|folder| {
        fs::set_permissions(folder.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    });
}

#[test]
fn a_whole_forged_image_is_not_mapped() {
    let foreign = tempfile::tempdir().unwrap();
    prepare(&open(foreign.path(), 1));
    check_refused(|folder| {
        for entry in fs::read_dir(foreign.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() != "key" {
                fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
    });
}

#[test]
fn a_changed_library_is_a_fault_of_the_host_and_never_of_the_function() {
    let folder = tempfile::tempdir().unwrap();
    prepare(&open(folder.path(), 1));
    let path = file_with_ending(folder.path(), "library");
    let library = fs::read_to_string(&path).unwrap();
    fs::write(&path, library.replace('1', "9")).unwrap();
    let sandbox = open(folder.path(), 1);
    let fault = block_on(sandbox.invoke(invocation("Lone", "[]"))).unwrap_err();
    assert!(fault.to_string().contains("library"), "{fault}");
    let sandbox = open(folder.path(), 1);
    assert!(is_made(prepare(&sandbox).0), "the next start makes it anew");
    check_works(&sandbox);
}

#[test]
fn a_pipe_in_place_of_a_file_is_no_trap() {
    for name in ["image", "code", "key", "lock"] {
        let folder = tempfile::tempdir().unwrap();
        prepare(&open(folder.path(), 1));
        let entry = file_with_ending(folder.path(), "image");
        let path = match name {
            "image" => entry.clone(),
            "code" => file_with_ending(folder.path(), "code"),
            plain => folder.path().join(plain),
        };
        if name == "lock" {
            fs::remove_file(entry).unwrap();
        }
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let sandbox = open(folder.path(), 1);
        assert!(is_made(prepare(&sandbox).0), "{name}");
        check_works(&sandbox);
    }
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let settings = SandboxSettings { languages: vec![common::template()], ..SandboxSettings::new(folder.path()) };
    let Err(OpenSandboxError::Cache(error)) = Sandbox::open(settings) else { panic!() };
    assert!(matches!(error, UnsafeCacheError::WritableByOthers { mode: 0o770, .. }), "{error:?}");
    assert!(error.to_string().contains("chmod 700"), "{error}");
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let settings = SandboxSettings { languages: vec![common::template()], ..SandboxSettings::new(file.path()) };
    assert!(matches!(Sandbox::open(settings), Err(OpenSandboxError::Cache(UnsafeCacheError::NotAFolder(_)))));
}

#[test]
fn a_folder_that_cannot_be_made_leaves_images_in_memory() {
    // A folder below a file can be made by nobody, whoever runs the test.
    let file = tempfile::NamedTempFile::new().unwrap();
    let sandbox = open(&file.path().join("cache"), 1);
    let (origin, keeping) = prepare(&sandbox);
    assert!(is_made(origin));
    assert!(matches!(&keeping, ImageKeeping::InMemory { reason } if reason.contains("cache")), "{keeping:?}");
    check_works(&sandbox);
}

#[test]
fn two_sandboxes_at_once_make_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let origins: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| prepare(&open(folder.path(), 1)).0)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(origins.iter().filter(|origin| is_made(**origin)).count(), 1, "{origins:?}");
}

/// Checks what the making of a guest that does not work says.
#[track_caller]
fn check_unusable(template: GuestTemplate, stage: ImageStage, message: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = SandboxSettings { languages: vec![leak(template)], ..SandboxSettings::new(folder.path()) };
    let sandbox = Sandbox::open(settings).unwrap();
    let error = sandbox.prepare_image(&language(), &|_| {}).unwrap_err();
    let ImageError::Stage { stage: found, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*found, stage, "{error:?}");
    assert!(source.to_string().contains(message), "{source}");
    assert!(block_on(sandbox.invoke(invocation("a", "[]"))).is_err());
}

fn guest(start: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (import "env" "f" (func $f)) (import "greensand" "sleep" (func $sleep (param i64)))
           (memory (export "memory") 1) (func (export "gs_init") {start}))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn guests_that_do_not_start_are_told_by_stage() {
    check_unusable(template_of(b"no module", None), ImageStage::CompileForStart, "");
    check_unusable(template_of(&guest("unreachable"), None), ImageStage::Start, "");
    check_unusable(template_of(&guest("(call $f)"), None), ImageStage::Start, "the import `env.f`");
    check_unusable(template_of(&guest(""), Some(b"no tar, but long enough")), ImageStage::Unpack, "");
    let sound = template_of(&guest(""), None);
    let GuestKind::Interpreter { guest, library } = sound.kind else { panic!("a test guest is an interpreter") };
    let kind = GuestKind::Interpreter { guest: Artefact { blake3: "00", ..guest }, library };
    let damaged = GuestTemplate { kind, ..sound };
    check_unusable(damaged, ImageStage::Unpack, "damaged");
}

#[test]
fn another_version_of_the_contract_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let template = GuestTemplate { contract: 3, ..template_of(&guest(""), None) };
    let settings = SandboxSettings { languages: vec![leak(template)], ..SandboxSettings::new(folder.path()) };
    let error = Sandbox::open(settings).unwrap().prepare_image(&language(), &|_| {}).unwrap_err();
    assert!(matches!(error, ImageError::Contract { found: 3, expected: 2, .. }), "{error:?}");
}
