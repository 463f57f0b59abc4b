//! Checks that the files of one command are different files. A report that overwrites the input or the journal
//! destroys the only list of the remaining work.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::input::STDIN;

/// The path by which standard input is compared with other files.
const STDIN_FILE: &str = "/dev/stdin";

/// The most links that are followed to a name that does not exist yet, as the system does.
const MOST_LINKS: usize = 40;

/// A file that a command reads or writes: its role with an article, and its path, `-` for standard input.
pub type CommandFile<'a> = (&'static str, &'a Path);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} would be {first} and {second} at once; give {second} another name", path.display())]
pub struct SameFile {
    path: PathBuf,
    first: &'static str,
    second: &'static str,
}

/// Checks that files of different roles are different files, also through links. Devices and pipes are not compared,
/// because nothing in them is overwritten.
pub fn check(places: &[CommandFile<'_>]) -> Result<(), SameFile> {
    let known: Vec<_> = places.iter().map(|(role, path)| (*role, path, identity(path))).collect();
    for (nth, &(second, path, ref identity)) in known.iter().enumerate() {
        let is_same = |(first, _, other): &&(&'static str, &&Path, Option<FileIdentity>)| {
            *first != second && identity.is_some() && other == identity
        };
        if let Some(&(first, ..)) = known[..nth].iter().find(is_same) {
            return Err(SameFile { path: path.to_path_buf(), first, second });
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum FileIdentity {
    File {
        device: u64,
        inode: u64,
    },
    /// The name of a file that does not exist yet.
    Name(PathBuf),
}

/// Returns `None` if the path is no regular file and none can be created there.
fn identity(path: &Path) -> Option<FileIdentity> {
    let path = if path == Path::new(STDIN) { Path::new(STDIN_FILE) } else { path };
    match fs::metadata(path) {
        Ok(about) if about.is_file() => {
            Some(FileIdentity::File { device: about.dev(), inode: about.ino() })
        }
        Ok(_) => None,
        Err(_) => resolved(path).ok().flatten().map(FileIdentity::Name),
    }
}

fn resolved(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = folder(&path).join(target);
    }
    let Some(name) = path.file_name() else { return Ok(None) };
    Ok(Some(fs::canonicalize(folder(&path))?.join(name)))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn same(first: &Path, second: &Path) -> bool {
        check(&[("the first", first), ("the second", second)]).is_err()
    }

    #[test]
    fn a_file_is_the_same_by_any_path_or_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        symlink(at("inner"), at("folder")).unwrap();
        // Whether the file is there or not.
        for there in [false, true] {
            if there {
                fs::write(at("inner/file"), "content").unwrap();
                fs::hard_link(at("inner/file"), at("hard")).unwrap();
                assert!(same(&at("inner/file"), &at("hard")));
            } else {
                symlink("inner/file", at("link")).unwrap();
                symlink("link", at("chain")).unwrap();
            }
            let others = ["inner/file", "inner/../inner/file", "folder/file", "link", "chain"];
            for other in others {
                assert!(same(&at("inner/file"), &at(other)), "{other}, there: {there}");
            }
            assert!(!same(&at("inner/file"), &at("inner/other")));
            assert!(!same(&at("inner/file"), &at("file")));
        }
    }

    #[test]
    fn a_special_file_is_not_compared() {
        let null = Path::new("/dev/null");
        assert!(!same(null, null));
        let nowhere = Path::new("/nowhere/file");
        assert!(!same(nowhere, nowhere), "no file can be made there");
        let folder = tempfile::tempdir().unwrap();
        symlink("round", folder.path().join("round")).unwrap();
        assert!(!same(&folder.path().join("round"), null));
        assert!(!same(Path::new(STDIN), &folder.path().join("file")));
    }

    #[test]
    fn both_roles_are_named() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let path = path.path();
        assert_eq!(check(&[("the list", path), ("the list", path)]), Ok(()), "places of one file");
        let fault = check(&[("the input", path), ("the report", path)]).unwrap_err().to_string();
        assert!(
            fault.ends_with(
                "would be the input and the report at once; give the report another name"
            ),
            "{fault}"
        );
    }
}
