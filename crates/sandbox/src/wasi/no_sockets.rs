//! The refusal of sockets: nothing here opens one, and without one the other functions of `wasi:sockets` have nothing to
//! work on.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::{sockets, sync};
use wasmtime_wasi::p2::{Network, SocketError, SocketResult, TcpSocket, UdpSocket};

use super::preview2::Ours;

impl Ours<'_> {
    fn refuse_network<T>(&mut self) -> SocketResult<T> {
        self.0.note_refused("network");
        Err(SocketError::from(sockets::network::ErrorCode::AccessDenied))
    }
}

impl sockets::network::Host for Ours<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<sockets::network::ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<sockets::network::ErrorCode>> {
        Ok(None)
    }
}

impl sockets::network::HostNetwork for Ours<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.0.component().table.delete(network)?;
        Ok(())
    }
}

impl sockets::tcp_create_socket::Host for Ours<'_> {
    fn create_tcp_socket(&mut self, _: sockets::network::IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.refuse_network()
    }
}

impl sync::sockets::udp_create_socket::Host for Ours<'_> {
    fn create_udp_socket(&mut self, _: sockets::network::IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.refuse_network()
    }
}
