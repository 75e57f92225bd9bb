// Broker URLs: what they mean, what is refused, and that a password never shows.

import AMQP
import Testing

@Suite("Broker URLs")
struct EndpointTests {
    @Test(
        "each part is read and decoded",
        arguments: [
            ("amqp://localhost", "localhost", 5672, "guest", "/", false),
            ("amqp://localhost/", "localhost", 5672, "guest", "/", false),
            ("AMQPS://mq.example.com", "mq.example.com", 5671, "guest", "/", true),
            ("amqp://u:p@h:1/v", "h", 1, "u", "v", false),
            ("amqp://u:p@h/%2Fdeep%2Fname", "h", 5672, "u", "/deep/name", false),
            ("amqp://us%40er:p@h/%C3%A9", "h", 5672, "us@er", "é", false),
            ("amqps://u:p@[2001:db8::1]:5699/v", "2001:db8::1", 5699, "u", "v", true),
            ("amqp://u@h", "h", 5672, "u", "/", false),
            ("  amqp://u:p@h/v \n", "h", 5672, "u", "v", false),
        ])
    func parts(_ text: String, _ host: String, _ port: Int, _ user: String, _ vhost: String, _ tls: Bool) throws {
        let endpoint = try #require(try AMQPEndpoint.parse(text).first)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.username == user)
        #expect(endpoint.virtualHost == vhost)
        #expect(endpoint.usesTLS == tls)
    }

    @Test("a list is a cluster, in order, and the useful parameters are honoured")
    func lists() throws {
        let endpoints = try AMQPEndpoint.parse(
            "amqps://u:a%2Cb@one/v?heartbeat=30&connection_timeout=1500&cacertfile=%2Fetc%2Fca.pem&verify=verify_peer,"
                + " amqp://two:99")
        #expect(endpoints.map(\.host) == ["one", "two"])
        #expect(endpoints[0].password == AMQPPassword("a,b"))
        #expect(endpoints[0].heartbeat == 30)
        #expect(endpoints[0].connectTimeout == .milliseconds(1500))
        #expect(endpoints[0].caFile == "/etc/ca.pem")
        #expect(endpoints[1].port == 99)
        #expect(endpoints[1].heartbeat == nil)
    }

    @Test(
        "what is no broker URL is refused, and the refusal does not repeat it",
        arguments: [
            "", ",", "localhost", "http://u:hunter2@h", "amqp://", "amqp://u:hunter2@", "amqp://u:hunter2@h:0",
            "amqp://u:hunter2@h:65536", "amqp://u:hunter2@h:x", "amqp://u:hunter2@h:", "amqp://u:hunter2@h/a/b",
            "amqp://u:hunter2@h/%2", "amqp://u:hunter2@h/%zz", "amqp://u:hunter2%@h", "amqp://u:hunter2%FF@h",
            "amqp://u:hunter2%00@h", "amqp://u:hunt@er2@h", "amqp://u:hunter2@[::1", "amqp://u:hunter2@[h]",
            "amqp://u:hunter2@[::1]x:5", "amqp://u:hunter2@h?verify=verify_none", "amqp://u:hunter2@h?heartbeat=x",
            "amqp://u:hunter2@h?frame_max=1", "amqp://u:hunter2@h?cacertfile=", "amqp://u:hunter2@h h",
            "amqp://u:hunter2@h#v", "amqp://u:hunter2@h\u{0}", "amqp://u:hunter2@h,", "amqp://u:hunter2@hé",
            "amqp://u:hunter2/x@h", "amqp://u:hunter2@h?connection_timeout=0", "amqp://u:hunter2@h?heartbeat=-1",
        ])
    func refused(_ text: String) {
        let error = #expect(throws: AMQPError.self) { try AMQPEndpoint.parse(text) }
        #expect(error?.code == .configuration)
        #expect(error.map { "\($0)" }?.contains("hunter") == false)
    }

    @Test("a password shows in no description, dump or reflection")
    func hidden() throws {
        let endpoints = try AMQPEndpoint.parse("amqps://user:hunter2@h/v")
        let configuration = AMQPConfiguration(endpoints: endpoints)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(endpoints)", String(reflecting: endpoints), "\(configuration)", dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect("\(endpoints[0])" == "amqps://h:5671 (virtual host 'v')")
    }

    @Test("any bytes are read or refused, without a trap")
    func noise() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("amqps://@:[]%/?&=,#.é\u{0}2F-".unicodeScalars)
        for _ in 0..<20_000 {
            var text = "amqp://"
            for _ in 0..<Int.random(in: 0..<24, using: &random) {
                text.unicodeScalars.append(alphabet.randomElement(using: &random) ?? "x")
            }
            if let endpoints = try? AMQPEndpoint.parse(text) {
                #expect(endpoints.allSatisfy { !$0.host.isEmpty && 1...65535 ~= $0.port })
            }
        }
    }
}
