// Whose address counts behind a reverse proxy: forged chains, both families, and junk must give nobody an address of choice.

import Model
import Testing

@testable import HTTPAPI

@Suite("Client address")
struct ClientAddressTests {
    private let proxied: ClientAddress

    init() throws {
        proxied = ClientAddress(
            trusting: try ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"].map(IPNetwork.init(parsing:)))
    }

    @Test("without trusted proxies nobody's word is believed")
    func nobody() {
        let direct = ClientAddress(trusting: [])
        #expect(direct.address(peer: "127.0.0.1", forwarded: ["203.0.113.9"]) == "127.0.0.1")
        #expect(direct.address(peer: nil, forwarded: ["203.0.113.9"]) == nil)
    }

    @Test("a stranger who sends the field is who the socket says")
    func stranger() {
        #expect(proxied.address(peer: "203.0.113.9", forwarded: ["10.0.0.1", "198.51.100.1"]) == "203.0.113.9")
        #expect(proxied.address(peer: "2001:db8:2::1", forwarded: ["198.51.100.1"]) == "2001:db8:2::1")
    }

    @Test("behind a proxy it is the last hop that is none of ours")
    func lastHop() {
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["203.0.113.9"]) == "203.0.113.9")
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["203.0.113.9, 10.2.2.2"]) == "203.0.113.9")
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["203.0.113.9", "10.2.2.2, 127.0.0.1"]) == "203.0.113.9")
        #expect(proxied.address(peer: "::ffff:10.1.1.1", forwarded: ["203.0.113.9"]) == "203.0.113.9")
    }

    @Test(
        "what a client puts before its own address changes nothing",
        arguments: [
            "1.2.3.4", "10.0.0.1", "127.0.0.1", "unknown", "", ",,,,", "::1", "\u{0}", "1.2.3.4, 10.9.9.9, 127.0.0.1",
        ])
    func forged(prefix: String) {
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["\(prefix), 203.0.113.9"]) == "203.0.113.9")
        #expect(proxied.address(peer: "10.1.1.1", forwarded: [prefix, "203.0.113.9, 10.2.2.2"]) == "203.0.113.9")
    }

    @Test("a request that never left our proxies comes from the first of them")
    func inside() {
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["10.3.3.3, 10.2.2.2"]) == "10.3.3.3")
        #expect(proxied.address(peer: "10.1.1.1", forwarded: []) == "10.1.1.1")
    }

    @Test(
        "the forms in which proxies write addresses",
        arguments: [
            ("203.0.113.9:4711", "203.0.113.9"), ("2001:db8:2::7", "2001:db8:2::7"),
            ("[2001:db8:2::7]", "2001:db8:2::7"), ("[2001:DB8:2:0::7]:4711", "2001:db8:2::7"),
            ("::ffff:203.0.113.9", "203.0.113.9"), ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
            (" \t203.0.113.9\t ", "203.0.113.9"),
        ])
    func forms(written: String, address: String) {
        #expect(proxied.address(peer: "10.1.1.1", forwarded: [written]) == address)
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["8.8.8.8, \(written), 10.2.2.2"]) == address)
    }

    @Test(
        "what is no address ends the chain at our own proxy, and is never passed on",
        arguments: [
            "unknown", "_hidden", "", " ", "203.0.113", "203.0.113.9.9", "203.0.113.256", "0x7f.1", "203.0.113.9:",
            "203.0.113.9:x", "203.0.113.9:123456", "[203.0.113.9]", "[2001:db8::7", "2001:db8::7]", "[]", "[::1]x",
            "[::1]:", "fe80::1%eth0", "[fe80::1%25eth0]", "\"203.0.113.9\"", "for=203.0.113.9", "203.0.113.9 10.0.0.1",
            "203.0.113.9\u{0}", "２03.0.113.9", "localhost", "'; DROP TABLE users; --",
        ])
    func junk(hop: String) {
        #expect(proxied.address(peer: "10.1.1.1", forwarded: ["203.0.113.9, \(hop)"]) == "10.1.1.1")
        #expect(proxied.address(peer: "10.1.1.1", forwarded: [hop, "10.2.2.2"]) == "10.2.2.2")
    }

    @Test("an endless field costs no more than its last hop")
    func endless() {
        let many = String(repeating: "1.2.3.4,", count: 100_000) + "203.0.113.9"
        #expect(proxied.address(peer: "10.1.1.1", forwarded: [many]) == "203.0.113.9")
        let long = String(repeating: "9", count: 1_000_000)
        #expect(proxied.address(peer: "10.1.1.1", forwarded: [long]) == "10.1.1.1")
    }

    @Test("a peer that is no address, such as a socket's path, is left as it is")
    func peer() {
        #expect(proxied.address(peer: "/run/postern.sock", forwarded: ["203.0.113.9"]) == "/run/postern.sock")
        #expect(proxied.address(peer: nil, forwarded: ["203.0.113.9"]) == nil)
    }
}
