// From where a caller may come: what a network holds, and what is no network at all.

import JSON
import Model
import Testing

@Suite("IP networks")
struct IPNetworkTests {
    private func network(_ text: String) throws -> IPNetwork { try IPNetwork(parsing: text) }

    @Test(
        "a network is written in one way, however it came",
        arguments: [
            ("192.0.2.7", "192.0.2.7"), ("192.0.2.7/32", "192.0.2.7"), ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"), ("2001:DB8:0:0::1", "2001:db8::1"), ("2001:db8::/32", "2001:db8::/32"),
            ("::/0", "::/0"), ("::1/128", "::1"), ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:c000:207", "192.0.2.7"), ("::ffff:192.0.2.0/120", "192.0.2.0/24"), ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::192.0.2.7", "::192.0.2.7"),
        ])
    func written(_ text: String, _ expected: String) throws {
        #expect(try network(text).description == expected)
        #expect(try network(expected) == network(text))
    }

    @Test(
        "what is no network is refused",
        arguments: [
            "", " ", "/", "/24", "192.0.2", "192.0.2.7.1", "256.0.0.1", "192.0.2.07", "0xC0.0.2.7", "3221225991",
            "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+24", "192.0.2.0/024", "192.0.2.0/24/24",
            "192.0.2.0/ 24", " 192.0.2.7", "192.0.2.7 ", "192.0.2.7\n", "192.0.2.7\u{0}", "192.0.2.7\u{0}/24",
            "192.0.2.0/255.255.255.0", "192.0.2.7/24", "2001:db8::1/32", "2001:db8::/129", "::/00", ":::", "1::2::3",
            "fe80::1%eth0", "[::1]", "localhost", "example.com", "*", "１９２.0.2.7", "192.0.2.0/２４",
            "::ffff:192.0.2.7/24", "1:2:3:4:5:6:7:8:9", String(repeating: "1", count: 100_000),
        ])
    func malformed(_ text: String) {
        #expect(throws: SettingProblem.self) { try network(text) }
    }

    @Test("a network with bits beyond its prefix names the one that was meant")
    func hostBits() {
        let problem = #expect(throws: SettingProblem.self) { try network("192.0.2.7/24") }
        #expect(problem?.message.contains("192.0.2.0/24") == true)
    }

    @Test("a peer is judged as its family, with zones and mapped addresses as sockets show them")
    func peers() throws {
        let four = [try network("192.0.2.0/25")]
        for peer in ["192.0.2.0", "192.0.2.127", "::ffff:192.0.2.1", "::FFFF:c000:201"] {
            #expect(four.contain(peer: peer), "\(peer)")
        }
        for peer in [
            "192.0.2.128", "192.0.3.1", "::ffff:192.0.2.128", "::192.0.2.1", "2001:db8::1", "", "x",
            "192.0.2.1, 1.1.1.1",
        ] {
            #expect(!four.contain(peer: peer), "\(peer)")
        }
        let six = [try network("fe80::/10")]
        #expect(six.contain(peer: "fe80::1%eth0") && six.contain(peer: "FEBF::1") && !six.contain(peer: "fec0::1"))
        #expect(!six.contain(peer: nil) && !four.contain(peer: nil))
        // All of one family is none of the other.
        #expect(!([try network("::/0")] as [IPNetwork]).contain(peer: "192.0.2.1"))
        #expect(!([try network("0.0.0.0/0")] as [IPNetwork]).contain(peer: "2001:db8::1"))
        #expect(!([] as [IPNetwork]).contain(peer: "192.0.2.1"))
    }

    @Test("a network holds another exactly where every address of that one is its own")
    func containment() throws {
        // Small enough to be looked through: the last four bits of one network.
        var networks: [(network: IPNetwork, members: Set<Int>)] = []
        for prefix in 28...32 {
            let size = 1 << (32 - prefix)
            for start in stride(from: 0, to: 16, by: size) {
                networks.append((try network("192.0.2.\(start)/\(prefix)"), Set(start..<start + size)))
            }
        }
        for one in networks {
            for other in networks {
                #expect(one.network.contains(other.network) == one.members.isSuperset(of: other.members))
            }
        }
        #expect(try network("2001:db8::/33").contains(network("2001:db8:7fff::/48")))
        #expect(try !network("2001:db8::/33").contains(network("2001:db8:8000::/48")))
        #expect(try !network("::/0").contains(network("192.0.2.0/24")))
    }

    @Test("networks come back from JSON as they went in")
    func json() throws {
        let networks = try [IPNetwork](json: .array([.string("::ffff:192.0.2.7"), .string("2001:db8::/32")]))
        #expect(networks.json == .array([.string("192.0.2.7"), .string("2001:db8::/32")]))
        #expect(try [IPNetwork](json: networks.json) == networks)
    }
}
