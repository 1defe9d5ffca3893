//! The owner of the other end of a local connection: the user of its process, by the system's table of connections.

use std::{
    io,
    net::SocketAddr,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    ptr,
};

use windows_sys::Win32::{
    Foundation::{ERROR_ACCESS_DENIED, ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER, HANDLE, NO_ERROR},
    NetworkManagement::IpHelper::{
        GetExtendedTcpTable, MIB_TCP_STATE_ESTAB, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID,
        TCP_TABLE_OWNER_PID_CONNECTIONS,
    },
    Networking::WinSock::{AF_INET, AF_INET6},
    Security::{EqualSid, GetTokenInformation, TOKEN_QUERY, TOKEN_USER, TokenUser},
    System::Threading::{GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION},
};

/// Maximum number of retries while the table grows.
const TRIES: usize = 8;

/// Whether the connection from `peer` to our own address `local` was made by this user. Blocks.
///
/// # Errors
/// When the system's table cannot be read.
pub(crate) fn is_own(peer: SocketAddr, local: SocketAddr) -> io::Result<bool> {
    let Some(process) = owner(peer, local)? else { return Ok(false) };
    let Some(theirs) = user_of(process)? else { return Ok(false) };
    let ours = token_user(current_process())?;
    Ok(theirs.is_same(&ours))
}

/// The process that owns the connection from `peer` to `local`.
fn owner(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let v4 = |address: u32, port: u32| SocketAddr::from((address.to_ne_bytes(), port_of(port)));
    let v6 = |address: [u8; 16], port: u32| SocketAddr::from((address, port_of(port)));
    let is_wanted = |from: SocketAddr, to: SocketAddr, state: u32| {
        let is_same = |one: SocketAddr, other: SocketAddr| (one.ip(), one.port()) == (other.ip(), other.port());
        is_same(from, peer) && is_same(to, local) && state == MIB_TCP_STATE_ESTAB.cast_unsigned()
    };
    if peer.is_ipv4() {
        let rows = rows::<MIB_TCPROW_OWNER_PID>(AF_INET)?;
        let found = rows.iter().find(|row| {
            is_wanted(v4(row.dwLocalAddr, row.dwLocalPort), v4(row.dwRemoteAddr, row.dwRemotePort), row.dwState)
        });
        return Ok(found.map(|row| row.dwOwningPid));
    }
    let rows = rows::<MIB_TCP6ROW_OWNER_PID>(AF_INET6)?;
    let found = rows.iter().find(|row| {
        is_wanted(v6(row.ucLocalAddr, row.dwLocalPort), v6(row.ucRemoteAddr, row.dwRemotePort), row.dwState)
    });
    Ok(found.map(|row| row.dwOwningPid))
}

/// A port as in the table: in network byte order, in the lower half.
fn port_of(port: u32) -> u16 {
    u16::from_be(u16::try_from(port & 0xffff).unwrap_or_default())
}

/// The connections of one address family, whose table consists of `Row`s.
#[expect(unsafe_code, reason = "calls of the system")]
fn rows<Row: Copy>(family: u16) -> io::Result<Vec<Row>> {
    let mut words: Vec<u32> = Vec::new();
    for _ in 0..TRIES {
        let mut size = u32::try_from(words.len() * size_of::<u32>()).map_err(io::Error::other)?;
        // SAFETY: the buffer has the size that is told, and is aligned as the table, which is of 32-bit numbers.
        let error = unsafe {
            GetExtendedTcpTable(
                words.as_mut_ptr().cast(),
                &raw mut size,
                0,
                u32::from(family),
                TCP_TABLE_OWNER_PID_CONNECTIONS,
                0,
            )
        };
        match error {
            NO_ERROR => {
                let (count, room) = (words.first().copied().unwrap_or_default(), words.len().saturating_sub(1));
                let count = (count as usize).min(room * size_of::<u32>() / size_of::<Row>());
                // SAFETY: behind the count the system has written as many rows, plain numbers, and they fit.
                let row = |index| unsafe { words.as_ptr().add(1).cast::<Row>().add(index).read() };
                return Ok((0..count).map(row).collect());
            }
            // The table may grow before the next call.
            ERROR_INSUFFICIENT_BUFFER => words.resize(size as usize / size_of::<u32>() + 64, 0),
            error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
    Err(io::Error::other("the table of connections grows too fast"))
}

/// The user of a process; `None` if it has ended or must not be queried.
#[expect(unsafe_code, reason = "calls of the system")]
fn user_of(process: u32) -> io::Result<Option<User>> {
    // SAFETY: the call takes numbers; a handle that comes of it is ours to close.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, process) };
    if handle.is_null() {
        return none_if_denied(io::Error::last_os_error());
    }
    // SAFETY: as above.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    match token_user(handle.as_raw_handle()) {
        Ok(user) => Ok(Some(user)),
        Err(error) => none_if_denied(error),
    }
}

fn none_if_denied(error: io::Error) -> io::Result<Option<User>> {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    if [Some(ERROR_ACCESS_DENIED), Some(ERROR_INVALID_PARAMETER)].contains(&code) { Ok(None) } else { Err(error) }
}

#[expect(unsafe_code, reason = "a call of the system")]
fn current_process() -> HANDLE {
    // SAFETY: it cannot fail, and what it returns needs no closing.
    unsafe { GetCurrentProcess() }
}

/// A `TOKEN_USER`, and the security identifier that it points to, behind it.
struct User(Vec<u64>);

#[expect(unsafe_code, reason = "calls of the system")]
fn token_user(process: HANDLE) -> io::Result<User> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the process' handle is good during the call, and a token that comes of it is ours to close.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // The largest identifier has 68 bytes.
    let mut user = User(vec![0; 16]);
    let size = u32::try_from(user.0.len() * size_of::<u64>()).map_err(io::Error::other)?;
    let mut needed = 0;
    // SAFETY: the buffer has the size that is told, and is aligned as a `TOKEN_USER`.
    let told = unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenUser, user.0.as_mut_ptr().cast(), size, &raw mut needed)
    };
    if told == 0 { Err(io::Error::last_os_error()) } else { Ok(user) }
}

impl User {
    #[expect(unsafe_code, reason = "a call of the system")]
    fn is_same(&self, other: &Self) -> bool {
        // SAFETY: the system has filled both, and neither was moved within its vector.
        unsafe {
            let sid = |user: &Self| user.0.as_ptr().cast::<TOKEN_USER>().read().User.Sid;
            EqualSid(sid(self), sid(other)) != 0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_found_in_the_table_while_it_is_there() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Not every computer has IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().unwrap();
            let stream = TcpStream::connect(local).unwrap();
            let (_accepted, peer) = listener.accept().unwrap();
            assert_eq!(peer, stream.local_addr().unwrap());
            // Wine's table names no process.
            assert!(owner(peer, local).unwrap().is_some_and(|id| [0, std::process::id()].contains(&id)), "{address}");
            assert_eq!(owner(SocketAddr::new(peer.ip(), 1), local).unwrap(), None);
            assert_eq!(owner(peer, SocketAddr::new(local.ip(), 1)).unwrap(), None);
            assert!(!is_own(SocketAddr::new(peer.ip(), 1), local).unwrap());
        }
    }

    #[test]
    fn our_process_is_ours_and_a_missing_one_nobodys() {
        let ours = token_user(current_process()).unwrap();
        assert!(user_of(std::process::id()).unwrap().is_some_and(|user| user.is_same(&ours)));
        assert!(user_of(0).unwrap().is_none());
    }
}
