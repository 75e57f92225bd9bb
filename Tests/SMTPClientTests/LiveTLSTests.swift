// TLS and AUTH over a real socket: who is trusted with what.

import NIOCore
import SMTP
import Testing

@testable import SMTPClient

@Suite(.timeLimit(.minutes(1)))
struct LiveTLSTests {
    private static let trusted = SMTPClientTLS(.required, extraTrustRootsPEM: TestCertificate.certificatePEM)
    private static let credentials = SMTPCredentials(username: "alice", password: "open sesame")

    private static let toSTARTTLS = """
        S: 220 peer
        C: EHLO client.example
        S: 250-peer
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go ahead

        """

    private static let message = """
        C: MAIL FROM:<alice@example.com>
        S: 250 ok
        C: RCPT TO:<bob@example.net>
        S: 250 ok
        C: DATA
        S: 354 go
        C: <message>
        S: 250 done

        """

    private func deliver(
        tls: SMTPClientTLS,
        host: String = "127.0.0.1",
        credentials: SMTPCredentials? = nil,
        _ scripts: ScriptedServer.Script...
    ) async throws -> SMTPDeliveryResult {
        try await ScriptedServer.run(scripts) { server in
            await SMTPClientPool.with { pool in
                let destination = SMTPDestination.loopback(
                    server.port,
                    host: host,
                    tls: tls,
                    credentials: credentials
                )
                return await pool.deliver(.sample(), to: destination)
            }
        }
    }

    private static let encryptedDelivery: ScriptedServer.Script = { peer in
        try await peer.play(toSTARTTLS + "S: <tls>")
        try await peer.play("C: EHLO client.example\nS: 250 peer\n" + message)
    }

    /// The client will not get through the handshake.
    private static let refusedHandshake: ScriptedServer.Script = { peer in
        try await peer.play(toSTARTTLS + "S: <tls>")
        try await peer.readBytes(.max)
    }

    @Test(
        "a certificate signed by an extra root is verified, by name and by address",
        arguments: ["127.0.0.1", "localhost"]
    )
    func extraRoot(host: String) async throws {
        let result = try await deliver(tls: Self.trusted, host: host, Self.encryptedDelivery)
        #expect(result.isDelivered)
        #expect(result.tls == "TLS 1.3, certificate verified")
        #expect(result.transcript.lines.contains("* TLS 1.3, certificate verified"))
    }

    @Test("an unknown certificate is refused, and the mail waits")
    func unknownRoot() async throws {
        let result = try await deliver(tls: .required, Self.refusedHandshake)
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .tls)
        #expect(result.failure?.enhanced == EnhancedCode(4, 7, 5))
        #expect(result.failure?.reason.contains("could not be verified") == true)
        #expect(result.tls == nil)
    }

    @Test("a certificate for another name is refused, even if it is good for the peer's address")
    func otherName() async throws {
        var tls = Self.trusted
        tls.serverName = "mail.example.org"
        let result = try await deliver(tls: tls, Self.refusedHandshake)
        #expect(result.failure?.stage == .tls)
        #expect(result.failure?.reason == "the server's certificate is not for the name mail.example.org")
    }

    @Test(
        "names in certificates",
        arguments: [
            ("mail.example.com", "MAIL.example.com.", true), ("*.example.com", "mail.example.com", true),
            ("*.example.com", "example.com", false), ("*.example.com", "a.b.example.com", false),
            ("*.com", "example.com", false), ("m*.example.com", "mail.example.com", false),
            ("mail.example.com", "mail.example.com.evil.org", false), ("", "", false), ("*", "localhost", false),
            ("a..b", "a..b", false),
        ]
    )
    func names(pattern: String, name: String, isMatch: Bool) {
        #expect(SMTPCertificateName.matches(Array(pattern.utf8), name: name) == isMatch)
    }

    @Test("implicit TLS")
    func implicit() async throws {
        var tls = Self.trusted
        tls.mode = .implicit
        let result = try await deliver(tls: tls) { peer in
            try await peer.startTLS()
            try await peer.play("S: 220 peer\nC: EHLO client.example\nS: 250 peer\n" + Self.message)
        }
        #expect(result.isDelivered)
        #expect(result.tls == "TLS 1.3, certificate verified")
    }

    @Test("opportunistic TLS takes any certificate and says so")
    func opportunistic() async throws {
        let result = try await deliver(tls: .opportunistic, Self.encryptedDelivery)
        #expect(result.isDelivered)
        #expect(result.tls == "TLS 1.3, certificate not verified")
    }

    @Test("opportunistic TLS that fails gives way to a connection in clear")
    func opportunisticFallback() async throws {
        let result = try await deliver(
            tls: .opportunistic,
            { peer in
                try await peer.play(Self.toSTARTTLS)
                try await peer.send("this is no TLS record\r\n")
                try await peer.readBytes(.max)
            },
            { peer in
                try await peer.play("S: 220 peer\nC: EHLO client.example\nS: 250 peer\n" + Self.message)
            }
        )
        #expect(result.isDelivered)
        #expect(result.tls == nil)
    }

    @Test("a peer that cannot do TLS after all does not get the mail in clear")
    func brokenHandshake() async throws {
        let result = try await deliver(tls: .required) { peer in
            try await peer.play(Self.toSTARTTLS)
            try await peer.send("this is no TLS record\r\n")
            try await peer.readBytes(.max)
        }
        #expect(result.failure?.stage == .tls)
        #expect(result.statuses[0].isTransient)
    }

    @Test("STARTTLS not offered where TLS is required")
    func stripped() async throws {
        let result = try await deliver(tls: .required) { peer in
            try await peer.play("S: 220 peer\nC: EHLO client.example\nS: 250 peer\nC: QUIT\nS: 221 bye")
        }
        #expect(result.failure?.stage == .tls)
        #expect(result.failure?.reason.contains("does not offer STARTTLS") == true)
    }

    @Test("a reply smuggled in behind that to STARTTLS is found out")
    func injected() async throws {
        let result = try await deliver(tls: Self.trusted) { peer in
            try await peer.play(
                Self.toSTARTTLS + """
                    S: 250-evil
                    S: 250 AUTH PLAIN
                    C: <end>
                    """
            )
        }
        #expect(result.failure?.stage == .tls)
        #expect(result.failure?.reason.contains("in clear") == true)
    }

    @Test("extra roots that are no certificates are a clear, lasting but mendable fault")
    func badRoots() async throws {
        let result = try await deliver(tls: SMTPClientTLS(.required, extraTrustRootsPEM: "nonsense"))
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .tls)
        #expect(result.failure?.reason.contains("PEM") == true)
    }

    @Test("AUTH PLAIN under TLS, and no trace of the password")
    func plain() async throws {
        let result = try await deliver(tls: Self.trusted, credentials: Self.credentials) { peer in
            try await peer.play(Self.toSTARTTLS + "S: <tls>")
            try await peer.play(
                """
                C: EHLO client.example
                S: 250-peer
                S: 250 AUTH PLAIN LOGIN
                C: AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l
                S: 235 2.7.0 welcome

                """ + Self.message
            )
        }
        #expect(result.isDelivered)
        #expect(result.transcript.lines.contains("C: AUTH PLAIN <redacted>"))
        #expect(!result.transcript.description.contains("AGFsaWNlAG9wZW4gc2VzYW1l"))
    }

    @Test("AUTH LOGIN, its answers redacted; loopback may do without TLS")
    func login() async throws {
        let result = try await deliver(tls: .none, credentials: Self.credentials) { peer in
            try await peer.play(
                """
                S: 220 peer
                C: EHLO client.example
                S: 250-peer
                S: 250 AUTH=LOGIN
                C: AUTH LOGIN
                S: 334 VXNlcm5hbWU6
                C: YWxpY2U=
                S: 334 UGFzc3dvcmQ6
                C: b3BlbiBzZXNhbWU=
                S: 235 welcome

                """ + Self.message
            )
        }
        #expect(result.isDelivered)
        #expect(result.transcript.lines.filter { $0 == "C: <redacted>" }.count == 2)
        #expect(!result.transcript.description.contains("b3BlbiBzZXNhbWU="))
    }

    @Test("a refused password keeps the mail and says what is wrong")
    func refused() async throws {
        let result = try await deliver(tls: .none, credentials: Self.credentials) { peer in
            try await peer.play(
                """
                S: 220 peer
                C: EHLO client.example
                S: 250-peer
                S: 250 AUTH PLAIN
                C: AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l
                S: 535 5.7.8 bad credentials
                C: QUIT
                S: 221 bye
                """
            )
        }
        #expect(result.statuses[0].isTransient)
        #expect(result.failure?.stage == .auth)
        #expect(result.failure?.enhanced == EnhancedCode(4, 7, 8))
        #expect(result.failure?.reason.contains("user name or password") == true)
        #expect(result.failure?.reply?.code == 535)
    }
}
