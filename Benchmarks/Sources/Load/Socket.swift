// A TCP connection over plain system calls: one `recv` and one `send` a turn, and nothing in between.

import Glibc

/// Where to connect to, and from which loopback address.
package struct Address: Sendable {
    let host: UInt32
    let port: UInt16

    /// `host` is a dotted IPv4 address: benchmarks run against one machine and resolve no names.
    package init(host: String, port: Int) throws(LoadError) {
        var parsed = in_addr()
        guard inet_pton(AF_INET, host, &parsed) == 1 else { throw LoadError("not an IPv4 address: \(host)") }
        guard let port = UInt16(exactly: port), port > 0 else { throw LoadError("not a port: \(port)") }
        self.host = UInt32(bigEndian: parsed.s_addr)
        self.port = port
    }

    private init(host: UInt32, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// 127.0.0.2 and up, any port: lets one client look like `spread` peers to limits that count per address.
    static func loopbackSource(_ number: Int, of spread: Int) -> Address {
        Address(host: 0x7F00_0002 + UInt32(number % spread), port: 0)
    }

    fileprivate func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var raw = sockaddr_in()
        raw.sin_family = sa_family_t(AF_INET)
        raw.sin_port = port.bigEndian
        raw.sin_addr.s_addr = host.bigEndian
        return withUnsafePointer(to: &raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// One open connection.
struct Socket {
    let descriptor: Int32

    /// Connects while blocking, which on loopback is one hand-shake, then goes non-blocking.
    init(to peer: Address, from source: Address?) throws(LoadError) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LoadError(call: "socket", errno: errno) }
        do throws(LoadError) {
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
            if let source {
                // Ports are chosen at connect, so that many connections can leave one source address.
                setsockopt(
                    descriptor,
                    Int32(IPPROTO_IP),
                    IP_BIND_ADDRESS_NO_PORT,
                    &on,
                    socklen_t(MemoryLayout<Int32>.size)
                )
                guard source.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
                    throw LoadError(call: "bind", errno: errno)
                }
            }
            guard peer.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
                throw LoadError(call: "connect to port \(peer.port)", errno: errno)
            }
            guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw LoadError(call: "fcntl", errno: errno) }
        } catch {
            close()
            throw error
        }
    }

    func close() { _ = Glibc.close(descriptor) }

    enum Received { case bytes(Int), nothing, ended }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Received {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        if count > 0 { return .bytes(count) }
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? .nothing : .ended
    }

    /// How many octets the kernel took; nil when the connection is gone.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }
}
