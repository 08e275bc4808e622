//! Which clients are connected, and which connection is closed where there are too many.
//!
//! In: connections as they come, and when each has a request under way. Out: a slot for each, or none. Where a client has its share,
//! or the host has all that it takes, the connection that has been idle for the longest time makes room: of the same client, or of
//! the one with the most. One with a request under way never does.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};
use tokio_util::sync::CancellationToken;

/// Where requests come from: an address, and of IPv6 the network that one household or machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client(IpAddr);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Ipv6Addr::from_bits(network).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl Client {
    /// The client of a request; requests without a connection, as in tests, are of one client.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let client = extensions.get().copied();
        client.unwrap_or(Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The open connections of all clients.
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    most: usize,
    most_of_client: usize,
    clients: Mutex<ClientConnections>,
}

#[derive(Default)]
struct ClientConnections {
    next: u64,
    by_number: HashMap<u64, State>,
    of_client: HashMap<Client, usize>,
}

struct State {
    client: Client,
    /// Requests under way.
    busy: usize,
    idle_since: Instant,
    leave: CancellationToken,
}

/// A connection's slot. Dropping it gives the slot to the next connection.
pub(super) struct ConnectionSlot {
    connections: Connections,
    number: u64,
    pub(super) client: Client,
    /// Cancelled where the connection is to make room.
    pub(super) leave: CancellationToken,
}

/// A request under way; dropped when its answer is sent.
pub(super) struct RequestGuard {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// Room for `most` connections, `most_of_client` of one client.
    pub(super) fn new(most: usize, most_of_client: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            most_of_client,
            clients: Mutex::default(),
        }))
    }

    fn clients(&self) -> MutexGuard<'_, ClientConnections> {
        self.0
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for one more connection; `None` where no idle connection can be closed for it.
    pub(super) fn enter(&self, client: Client) -> Option<ConnectionSlot> {
        let mut clients = self.clients();
        if clients.of(client) >= self.0.most_of_client {
            clients.make_room(client)?;
        } else if clients.by_number.len() >= self.0.most {
            let greatest = clients.of_client.iter().max_by_key(|(_, count)| **count);
            let greatest = *greatest?.0;
            clients.make_room(greatest)?;
        }
        let (number, leave) = (clients.next, CancellationToken::new());
        clients.next += 1;
        *clients.of_client.entry(client).or_default() += 1;
        clients.by_number.insert(
            number,
            State {
                client,
                busy: 0,
                idle_since: Instant::now(),
                leave: leave.clone(),
            },
        );
        Some(ConnectionSlot {
            connections: self.clone(),
            number,
            client,
            leave,
        })
    }
}

impl ClientConnections {
    fn of(&self, client: Client) -> usize {
        self.of_client.get(&client).copied().unwrap_or(0)
    }

    /// Sends the client's connection away that has been idle for the longest time.
    fn make_room(&mut self, client: Client) -> Option<()> {
        let idle = self.by_number.iter();
        let idle = idle.filter(|(_, state)| state.client == client && state.busy == 0);
        let longest = idle.min_by_key(|(number, state)| (state.idle_since, **number));
        let number = *longest?.0;
        self.remove(number)?.leave.cancel();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<State> {
        let state = self.by_number.remove(&number)?;
        if let Some(count) = self.of_client.get_mut(&state.client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&state.client);
            }
        }
        Some(state)
    }
}

impl ConnectionSlot {
    /// Marks a request of this connection as under way.
    pub(super) fn begin_request(&self) -> RequestGuard {
        if let Some(state) = self.connections.clients().by_number.get_mut(&self.number) {
            state.busy += 1;
        }
        RequestGuard {
            connections: self.connections.clone(),
            number: self.number,
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.clients().remove(self.number);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if let Some(state) = self.connections.clients().by_number.get_mut(&self.number) {
            state.busy -= 1;
            state.idle_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        IpAddr::from([192, 0, 2, last]).into()
    }

    #[test]
    fn the_idlest_connection_of_the_same_client_makes_room_for_the_next_one() {
        let connections = Connections::new(10, 2);
        let first = connections.enter(client(1)).unwrap();
        let second = connections.enter(client(1)).unwrap();
        let other = connections.enter(client(2)).unwrap();
        let third = connections.enter(client(1)).unwrap();
        assert!(first.leave.is_cancelled());
        assert!(!second.leave.is_cancelled() && !other.leave.is_cancelled());
        let (request, another) = (second.begin_request(), third.begin_request());
        assert!(connections.enter(client(1)).is_none(), "both are at work");
        drop(request);
        assert!(connections.enter(client(1)).is_some() && second.leave.is_cancelled());
        drop(another);
    }

    #[test]
    fn a_full_host_takes_the_room_from_the_client_with_the_most() {
        let connections = Connections::new(4, 3);
        let many: Vec<_> = (0..3)
            .map(|_| connections.enter(client(1)).unwrap())
            .collect();
        let single = connections.enter(client(2)).unwrap();
        let next = connections.enter(client(3)).unwrap();
        assert!(many[0].leave.is_cancelled());
        assert!(!single.leave.is_cancelled() && !next.leave.is_cancelled());
        drop((many, single, next));
        assert!(
            connections.clients().by_number.is_empty()
                && connections.clients().of_client.is_empty()
        );
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_ipv6() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
