//! Files and symbolic links that are durable at once, or not at all: the store, its profiles, `/run`, `/proc`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

use super::disk::{Bytes, text};

/// Symbolic links that are followed before a path is taken for a loop, as Linux does it.
const MAX_LINKS: u32 = 40;

/// Files and links by absolute path. Directories are where something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// By path as text: comparing paths component by component is what would take most of the time.
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Bytes),
    Link(PathBuf),
}

impl Tree {
    /// Put a file there.
    pub fn write(&mut self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.nodes.insert(text(path.as_ref()).to_owned(), Node::File(bytes.into()));
    }

    /// Put a symbolic link there.
    pub fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        self.nodes.insert(text(path.as_ref()).to_owned(), Node::Link(target.into()));
    }

    /// Remove a file, a link or everything below a directory; whether anything was there.
    pub fn remove(&mut self, path: &Path) -> bool {
        let before = self.nodes.len();
        let path = text(path);
        self.nodes.retain(|other, _| below(path, other).is_none());
        before != self.nodes.len()
    }

    /// The bytes of the file at exactly this path.
    #[must_use]
    pub fn read(&self, path: &Path) -> Option<&Bytes> {
        match self.nodes.get(text(path))? {
            Node::File(bytes) => Some(bytes),
            Node::Link(_) => None,
        }
    }

    /// The target of the link at exactly this path, as it was written.
    #[must_use]
    pub fn read_link(&self, path: &Path) -> Option<&Path> {
        match self.nodes.get(text(path))? {
            Node::Link(target) => Some(target),
            Node::File(_) => None,
        }
    }

    /// The names in a directory; `None` if nothing is below it.
    #[must_use]
    pub fn list(&self, directory: &Path) -> Option<Vec<OsString>> {
        let mut names: Vec<&str> = Vec::new();
        for rest in self.from(text(directory)) {
            let name = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
            if !name.is_empty() && names.last() != Some(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| names.into_iter().map(OsString::from).collect())
    }

    /// Whether anything is at or below this path.
    #[must_use]
    pub fn exists(&self, path: &Path) -> bool {
        self.from(text(path)).next().is_some()
    }

    /// What comes after `path` in the paths at and below it. Siblings may sort in between: `a-b` is before `a/b`.
    fn from<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let others = self
            .nodes
            .range::<str, _>((Bound::Included(path), Bound::Unbounded))
            .map(|(other, _)| other.as_str());
        others.take_while(move |other| other.starts_with(path)).filter_map(move |other| below(path, other))
    }
}

/// What comes after `path` in `other`, which is at or below it.
fn below<'a>(path: &str, other: &'a str) -> Option<&'a str> {
    other.strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where `path` leads, with every symbolic link on the way followed; `link_at` knows them.
pub(super) fn resolve<'a>(
    path: &Path,
    link_at: impl Fn(&Path) -> Option<&'a Path>,
    follow_last: bool,
) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=MAX_LINKS {
        let Some(next) = follow_first(&path, &link_at, follow_last) else { return Ok(path) };
        path = next;
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn follow_first<'a>(
    path: &Path,
    link_at: impl Fn(&Path) -> Option<&'a Path>,
    follow_last: bool,
) -> Option<PathBuf> {
    let mut ancestors: Vec<&Path> = path.ancestors().skip(usize::from(!follow_last)).collect();
    ancestors.reverse();
    let (link, target) = ancestors.into_iter().find_map(|ancestor| Some((ancestor, link_at(ancestor)?)))?;
    let rest = path.strip_prefix(link).ok()?;
    let base = link.parent().unwrap_or(Path::new("/"));
    // `join` with an empty rest would leave a trailing slash.
    let joined = if rest.as_os_str().is_empty() { base.join(target) } else { base.join(target).join(rest) };
    Some(without_dots(&joined))
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_wherever_they_are_on_the_way() {
        let mut tree = Tree::default();
        tree.link("/nix/var/nix/profiles/system", "system-2-link");
        tree.link("/nix/var/nix/profiles/system-2-link", "/nix/store/1-host");
        tree.link("/nix/store/1-host/kernel", "../2-linux/bzImage");
        let link_at = |path: &Path| tree.read_link(path);
        let lead = |path: &str, last| resolve(Path::new(path), link_at, last).unwrap();
        assert_eq!(lead("/nix/var/nix/profiles/system", true), Path::new("/nix/store/1-host"));
        assert_eq!(lead("/nix/var/nix/profiles/system", false), Path::new("/nix/var/nix/profiles/system"));
        assert_eq!(
            lead("/nix/var/nix/profiles/system/kernel", true),
            Path::new("/nix/store/2-linux/bzImage")
        );
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let mut tree = Tree::default();
        tree.link("/run/a", "b");
        tree.link("/run/b", "a");
        assert!(resolve(Path::new("/run/a"), |path| tree.read_link(path), true).is_err());
    }

    #[test]
    fn a_directory_is_where_something_is() {
        let mut tree = Tree::default();
        tree.write("/run/x/one", b"1");
        tree.write("/run/x/two/three", b"3");
        assert_eq!(tree.list(Path::new("/run/x")).unwrap(), ["one", "two"]);
        assert!(tree.exists(Path::new("/run/x/two")) && !tree.exists(Path::new("/run/y")));
        assert!(tree.remove(Path::new("/run/x")) && tree.list(Path::new("/run")).is_none());
    }
}
