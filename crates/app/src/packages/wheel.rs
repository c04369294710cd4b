//! Reading a wheel: a zip from elsewhere, so everything in it is bounded and checked before it is used.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use greensand_sandbox::PackageFile;
use zip::ZipArchive;
use zip::result::ZipResult;

use super::error::PackageError;

const MOST_ENTRIES: usize = 20_000;
const MOST_BYTES: u64 = 256 << 20;
/// Source text packs 4 to 10 times; what packs far better was made to fill memory.
const MOST_RATIO: u64 = 200;
const LONGEST_PATH: usize = 400;

/// Returns the files that a wheel installs for import: modules and data, not scripts or headers.
///
/// # Errors
/// When it is no wheel, is too large unpacked, has native code, or a file lies where it must not.
pub(super) fn files(name: &str, wheel: &[u8]) -> Result<Vec<PackageFile>, PackageError> {
    let bad = |reason: String| PackageError::BadWheel { name: name.to_owned(), reason };
    let broken = |error: zip::result::ZipError| bad(format!("it is no sound zip file: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(wheel)).map_err(broken)?;
    if archive.len() > MOST_ENTRIES {
        return Err(bad(format!("it has {} files, the most is {MOST_ENTRIES}", archive.len())));
    }
    let most = MOST_BYTES.min(wheel.len() as u64 * MOST_RATIO);
    let (mut files, mut paths, mut room) = (Vec::new(), BTreeSet::new(), most);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        if entry.is_dir() {
            continue;
        }
        let path = path_of(&entry).map_err(broken)?;
        if entry.is_symlink() || entry.encrypted() || !is_plain(&path) {
            return Err(bad(format!("`{}` is not a plain file below it", path.escape_debug())));
        }
        if is_native(&path) {
            return Err(PackageError::Native { name: name.to_owned(), evidence: format!("it holds `{path}`") });
        }
        let Some(path) = installed_at(&path) else { continue };
        if !paths.insert(path.to_owned()) {
            return Err(bad(format!("it has `{path}` twice")));
        }
        let mut content = Vec::new();
        let read = Read::take(&mut entry, room + 1).read_to_end(&mut content);
        read.map_err(|error| bad(format!("`{path}` cannot be unpacked: {error}")))?;
        room = room
            .checked_sub(content.len() as u64)
            .ok_or_else(|| bad(format!("it unpacks to more than {most} bytes")))?;
        files.push(PackageFile { path: path.to_owned(), content });
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn path_of<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> ZipResult<String> {
    Ok(entry.name()?.into_owned())
}

/// Says whether a path has plain parts only, so that it cannot lead out of any folder on any system.
fn is_plain(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']);
    path.len() <= LONGEST_PATH && path.split('/').all(is_part) && !path.chars().any(char::is_control)
}

fn is_native(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let endings = [".so", ".pyd", ".dylib", ".dll", ".a", ".o"];
    endings.iter().any(|ending| file.ends_with(ending)) || file.contains(".so.")
}

/// Where a file of a wheel is installed for import, if it is. `NAME.data/purelib/` is the root too, the rest of it is
/// for scripts and headers; caches of another Python are of no use.
fn installed_at(path: &str) -> Option<&str> {
    let (first, rest) = path.split_once('/').unwrap_or(("", path));
    if first.ends_with(".data") {
        return rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/"));
    }
    (!path.ends_with(".pyc")).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn wheel(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in entries {
            zip.start_file(*path, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn check(entries: &[(&str, &[u8])], expected: Result<&[&str], &str>) {
        let found = files("p", &wheel(entries));
        match (found, expected) {
            (Ok(files), Ok(paths)) => {
                assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), paths)
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn modules_and_data_are_read() {
        check(
            &[
                ("p/__init__.py", b""),
                ("p/d.txt", b"x"),
                ("p-1.dist-info/METADATA", b""),
                ("p-1.data/purelib/q.py", b""),
            ],
            Ok(&["p-1.dist-info/METADATA", "p/__init__.py", "p/d.txt", "q.py"]),
        );
        check(&[("p-1.data/scripts/run", b""), ("p/__pycache__/a.pyc", b"")], Ok(&[]));
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["../p.py", "/p.py", "p/../../q.py", "p\\..\\q.py", "c:p.py", "p//q.py", "./p.py", "p/a\nb"] {
            check(&[(path, b"")], Err("is not a plain file"));
        }
    }

    #[test]
    fn a_link_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("p/passwd", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let error = files("p", &zip.finish().unwrap().into_inner()).unwrap_err();
        assert!(error.to_string().contains("is not a plain file"), "{error}");
    }

    #[test]
    fn native_code_is_refused_with_its_file() {
        for path in ["p/_fast.cpython-314-x86_64-linux-gnu.so", "p/x.pyd", "p.libs/libz.so.1", "p/l.dylib"] {
            check(&[("p/__init__.py", b""), (path, b"")], Err(path));
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_memory() {
        let zeros = vec![0; 8 << 20];
        check(&[("p/zeros", &zeros)], Err("unpacks to more than"));
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        let error = files("p", b"PK, but no zip").unwrap_err();
        assert!(error.to_string().contains("no sound zip file"), "{error}");
        let whole = wheel(&[("p.py", b"x = 1")]);
        assert!(files("p", &whole[..whole.len() / 2]).is_err());
    }
}
