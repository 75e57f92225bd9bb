// Getting in, or not: logins, virtual hosts, certificates, lists of brokers. The words matter: people act on them.

import AMQP
import TestSupport
import Testing

@Suite("Connecting")
struct ConnectingTests {
    /// What a publisher with this configuration says after its first try, and what `publish` answers then.
    private func failure(_ configuration: AMQPConfiguration) async throws -> String {
        let publisher = AMQPPublisher(configuration: configuration, logger: .quiet)
        publisher.start()
        let words = Locked("")
        try await eventually("the first try ends") {
            guard case .connecting(let error?) = publisher.state else { return false }
            words.with { $0 = error }
            return true
        }
        let outcome = await publisher.publish([AMQPMessage(routingKey: "q", body: [1])])[0]
        await publisher.stop()
        guard case .unavailable(let why) = outcome else {
            Issue.record("\(outcome)")
            return words.value
        }
        #expect(why.contains(words.value))
        #expect(!why.contains(Broker.password))
        return words.value
    }

    @Test("a wrong password is told as such")
    func wrongPassword() async throws {
        var configuration = try await Broker.shared().configuration()
        configuration.endpoints[0].password = AMQPPassword("wrong")
        let words = try await failure(configuration)
        #expect(words.contains("user name or password is wrong"))
        #expect(words.contains("403"))
    }

    @Test("a virtual host that is not there is told by name")
    func wrongVirtualHost() async throws {
        var configuration = try await Broker.shared().configuration()
        configuration.endpoints[0].virtualHost = "nowhere"
        #expect(try await failure(configuration).contains("virtual host 'nowhere'"))
    }

    @Test("a port without a broker, and a name without an address")
    func unreachable() async throws {
        var configuration = try await Broker.shared().configuration()
        configuration.endpoints[0].port = freePort()
        #expect(try await failure(configuration).contains("refused"))
        configuration.endpoints[0].host = "no-such-host.invalid"
        #expect(try await failure(configuration).contains("cannot be resolved"))
    }

    @Test("plain AMQP on a TLS port is guessed")
    func plainOnTLSPort() async throws {
        let broker = try await Broker.shared()
        var configuration = broker.configuration()
        configuration.endpoints[0].port = broker.tlsPort
        #expect(try await failure(configuration).contains("is this a TLS port?"))
    }

    @Test("amqps with the right CA publishes")
    func privateCA() async throws {
        let broker = try await Broker.shared()
        try await withBench(changing: { $0 = broker.configuration(tls: true) }) { bench in
            #expect(await bench.publisher.publish(bench.messages(5_000)).allSatisfy { $0 == .confirmed })
            let large = AMQPMessage(routingKey: bench.queue, body: [UInt8](repeating: 0x61, count: 3 << 20))
            #expect(await bench.publisher.publish([large]) == [.confirmed])
            let seen = Locked(0)
            try await bench.consuming(configuration: broker.configuration(tls: true)) { deliveries in
                seen.with { $0 += deliveries.count }
                return deliveries.map { _ in .ack }
            } _: { _ in
                try await eventually("all arrive over TLS") { seen.value == 5_001 }
            }
        }
    }

    @Test("a certificate by another CA is refused")
    func strangeCA() async throws {
        let broker = try await Broker.shared()
        var configuration = broker.configuration(tls: true)
        configuration.caFile = "\(broker.directory)/stranger.pem"
        #expect(try await failure(configuration).contains("has signed the broker's"))
        // The system's own bundle, which is the default.
        configuration.caFile = nil
        #expect(try await failure(configuration).contains("/etc/ssl/certs/ca-certificates.crt"))
    }

    @Test("a CA file that is not there is told by name")
    func missingCAFile() async throws {
        var configuration = try await Broker.shared().configuration(tls: true)
        configuration.caFile = "/nowhere/ca.pem"
        #expect(try await failure(configuration).contains("/nowhere/ca.pem"))
    }

    @Test("a certificate for another name is refused")
    func wrongName() async throws {
        let broker = try await Broker.shared()
        let port = freePort()
        let server = try ChildProcess(
            "openssl s_server -accept \(port) -cert other.pem -key other.key -quiet &",
            environment: ["PATH": "/usr/bin:/bin"], in: broker.directory)
        defer { server.kill() }
        var configuration = broker.configuration(tls: true)
        configuration.endpoints[0].port = port
        let words = Locked("")
        try await eventually("the server listens") {
            let failed = try await failure(configuration)
            words.with { $0 = failed }
            return !words.value.contains("refused")
        }
        #expect(words.value.contains("certificate is not for the name localhost"))
    }

    @Test("amqps to an IP address is refused before anything is sent", arguments: ["127.0.0.1", "::1", "127.1"])
    func address(_ host: String) async throws {
        var configuration = try await Broker.shared().configuration(tls: true)
        configuration.endpoints[0].host = host
        #expect(try await failure(configuration).contains("needs the broker's name"))
    }

    @Test("of a list of brokers the first that answers is used, and all are told when none does")
    func list() async throws {
        var configuration = try await Broker.shared().configuration()
        var dead = configuration.endpoints[0]
        dead.port = freePort()
        configuration.endpoints.insert(dead, at: 0)
        let publisher = AMQPPublisher(configuration: configuration, logger: .quiet)
        publisher.start()
        try await eventually("the second is found") {
            guard case .connected(let server) = publisher.state else { return false }
            return server.hasSuffix(" at \(configuration.endpoints[1].address)")
        }
        await publisher.stop()
        var other = dead
        other.port = freePort()
        configuration.endpoints = [dead, other]
        let words = try await failure(configuration)
        #expect(words.contains(":\(dead.port)") && words.contains(":\(other.port)"))
    }

    @Test("a broker that says nothing is given up after the time-out, and a stop need not wait for it")
    func silent() async throws {
        let broker = try await Broker.shared()
        let port = freePort()
        let server = try ChildProcess(
            "python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\",\(port))); time.sleep(600)' &",
            environment: ["PATH": "/usr/bin:/bin"], in: broker.directory)
        defer { server.kill() }
        var configuration = broker.configuration()
        configuration.endpoints[0].port = port
        configuration.connectTimeout = .milliseconds(300)
        let words = Locked("")
        try await eventually("the server listens") {
            let failed = try await failure(configuration)
            words.with { $0 = failed }
            return !words.value.contains("refused")
        }
        #expect(words.value.contains("no AMQP greeting"))
    }
}
