//! The Unix socket of the admin API: never open to others, never stolen from a living daemon.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// A listening socket whose file is removed with it.
#[derive(Debug)]
pub struct AdminSocket {
    /// The listener.
    pub listener: UnixListener,
    /// Its file; drop it after the listener.
    pub file: SocketFile,
}

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("another process answers on {0}")]
    Alive(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("cannot listen on {path}")]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AdminSocket {
    /// Listens on `path`, making its directory where needed and replacing what a dead daemon left.
    ///
    /// # Errors
    /// Another process answers there, something else is in the way, or the kernel refuses.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        make_room(path).await?;
        let refused = |source| SocketError::Listen { path: path.to_owned(), source };
        let listener = listen(path).map_err(refused)?;
        let file = SocketFile::at(path).map_err(refused)?;
        Ok(Self { listener, file })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

/// The file, recognisable even if a successor has put its own in the same place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: inode(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode) {
            // Nothing is lost if this fails: the next daemon sees that nobody answers.
            drop(fs::remove_file(&self.path));
        }
    }
}

async fn make_room(path: &Path) -> Result<(), SocketError> {
    let refused = |source| SocketError::Listen { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make_directory(path).map_err(refused),
        Err(error) => Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(refused)
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(refused(error)),
            // A full backlog is a sign of life too.
            Ok(_) | Err(_) => Err(SocketError::Alive(path.to_owned())),
        },
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => DirBuilder::new().recursive(true).mode(0o755).create(parent),
        None => Ok(()),
    }
}

/// `bind` creates the file with the mode of the unbound socket, less the umask. Set before, there is
/// no moment at which others may connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let unbound = File::from(OwnedFd::from(Socket::new(Domain::UNIX, Type::STREAM, None)?));
    unbound.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(unbound));
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into())
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

const BACKLOG: i32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_may_connect_and_the_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/vipcast/admin.sock");
        let socket = AdminSocket::bind(&path).await.unwrap();
        let directory = mode(path.parent().unwrap());
        assert_eq!((mode(&path), directory & 0o022), (0o600, 0));
        assert_eq!(socket.path(), path);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_on_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _socket = AdminSocket::bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn a_living_daemon_keeps_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let first = AdminSocket::bind(&path).await.unwrap();
        let second = AdminSocket::bind(&path).await.unwrap_err();
        assert_eq!(second.to_string(), format!("another process answers on {}", path.display()));
        UnixStream::connect(first.path()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(AdminSocket::bind(&path).await, Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_file_goes_with_the_socket_but_a_successors_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let first = AdminSocket::bind(&path).await.unwrap();
        fs::rename(&path, dir.path().join("kept")).unwrap();
        let second = AdminSocket::bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
