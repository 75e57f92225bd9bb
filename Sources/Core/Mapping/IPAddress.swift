// Whether a text is an IPv4 or IPv6 address, in the judgement of the C library.

#if canImport(Glibc)
import Glibc
#endif

package enum IPAddress {
    package static func isValid(_ text: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
    }
}
