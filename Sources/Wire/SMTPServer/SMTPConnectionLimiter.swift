// Counts connections in all and by address. One limiter can serve several listeners, which then share its numbers.

package import NIOCore
package import SMTP
import Synchronization

package final class SMTPConnectionLimiter: Sendable {
    private struct Counts {
        var total = 0
        var byNetwork: [Network: Int] = [:]
    }

    private let maximum: Int
    private let maximumPerAddress: Int
    private let counts = Mutex(Counts())

    /// - Parameters:
    ///   - maximum: Connections at a time.
    ///   - maximumPerAddress: Connections at a time of one IPv4 address or one IPv6 /64.
    package init(maximum: Int, maximumPerAddress: Int) {
        self.maximum = maximum
        self.maximumPerAddress = maximumPerAddress
    }

    package convenience init(_ limits: SMTPServerLimits) {
        self.init(maximum: limits.connections, maximumPerAddress: limits.connectionsPerAddress)
    }

    /// Connections that are open now.
    package var count: Int { counts.withLock(\.total) }

    /// Counts a connection in.
    ///
    /// - Returns: `false` when there are too many already; then there is nothing to release.
    package func admit(_ address: SocketAddress?) -> Bool {
        let network = Network(address)
        return counts.withLock { counts in
            let ofNetwork = counts.byNetwork[network, default: 0]
            guard counts.total < maximum, ofNetwork < maximumPerAddress else { return false }
            counts.total += 1
            counts.byNetwork[network] = ofNetwork + 1
            return true
        }
    }

    /// Counts an admitted connection out.
    package func release(_ address: SocketAddress?) {
        let network = Network(address)
        counts.withLock { counts in
            counts.total -= 1
            let ofNetwork = counts.byNetwork[network, default: 0] - 1
            counts.byNetwork[network] = ofNetwork > 0 ? ofNetwork : nil
        }
    }
}

/// What counts as one client: an IPv4 address, also when mapped into IPv6, or an IPv6 /64.
private struct Network: Hashable {
    private let isIPv6: Bool
    private let prefix: UInt64

    init(_ address: SocketAddress?) {
        switch address {
        case .v4:
            isIPv6 = false
            // sockaddr_in: family and port, then the address.
            prefix = address?.bytes(at: 4, count: 4) ?? 0
        case .v6:
            // sockaddr_in6: family, port and flow label, then the address.
            let high = address?.bytes(at: 8, count: 8) ?? 0
            let low = address?.bytes(at: 16, count: 8) ?? 0
            isIPv6 = !(high == 0 && low >> 32 == 0xFFFF)  // ::ffff:0:0/96 (RFC 4291 §2.5.5.2)
            prefix = isIPv6 ? high : low & 0xFFFF_FFFF
        case .unixDomainSocket, nil:
            isIPv6 = false
            prefix = .max
        }
    }
}

extension SocketAddress {
    /// A number in network byte order within the system's form of the address.
    fileprivate func bytes(at offset: Int, count: Int) -> UInt64 {
        withSockAddr { address, size in
            UnsafeRawBufferPointer(start: address, count: size)[offset..<offset + count].reduce(0) {
                $0 << 8 | UInt64($1)
            }
        }
    }

    /// The IP address as text, an IPv4 one without its mapping into IPv6.
    var clientAddress: String {
        guard let text = ipAddress else { return "" }
        return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
    }

    /// 127.0.0.0/8 or ::1.
    var isLoopback: Bool { clientAddress.hasPrefix("127.") || clientAddress == "::1" }
}
