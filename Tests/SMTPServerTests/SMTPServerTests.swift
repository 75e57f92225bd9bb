// The server on real sockets of loopback, with and without TLS.

import Logging
import NIOCore
import NIOSSL
import SMTP
import SMTPServer
import Synchronization
import Testing

@Suite("SMTP server on sockets", .timeLimit(.minutes(1)))
struct SMTPServerTests {
    private let login = "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"

    @Test("a message in clear reaches the delegate with all that is known of its client")
    func message() async throws {
        let delegate = RecordingDelegate()
        try await withServer(.test, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            let clientPort = client.channel.localAddress?.port
            #expect(await client.reply() == ["220 mx.test ESMTP"])
            #expect(try await client.ask("EHLO client.test\r\n").first == "250-mx.test")
            #expect(try await client.ask(login) == ["235 2.7.0 Authentication succeeded"])
            try await client.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<nobody@e.f>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
            var codes: [Substring] = []
            for _ in 0..<4 { codes.append(await client.reply().first?.prefix(3) ?? "") }
            #expect(codes == ["250", "550", "250", "354"])
            #expect(try await client.ask("Subject: x\r\n\r\n..\r\n.\r\n") == ["250 2.0.0 Queued."])
            #expect(try await client.ask("QUIT\r\n") == ["221 2.0.0 Bye"])
            #expect(await client.reply() == [])
            try await client.close()
            #expect(await delegate.nextCloseReason() == .quit)

            let message = try #require(delegate.recorded.messages.first)
            #expect(String(buffer: message.data) == "Subject: x\r\n\r\n.\r\n")
            #expect(message.transaction.recipients.map(\.address) == ["d@e.f"])
            #expect(message.transaction.protocolName == "ESMTPA")
            #expect(message.connection.remoteAddress == "127.0.0.1")
            #expect(message.connection.remotePort == clientPort)
            #expect(message.connection.localPort == port)
            #expect(message.connection.hello == "client.test")
            #expect(message.connection.isESMTP && !message.connection.isTLS)
            #expect(message.connection.identity as? String == "ann")
        }
        #expect(delegate.recorded.opened.count == 1)
        #expect(delegate.recorded.closed.count == 1)
    }

    @Test("STARTTLS, AUTH and a message of 20 MB come through unharmed")
    func startTLS() async throws {
        let certificate = try TestCertificate()
        let context = try certificate.serverContext()
        let delegate = RecordingDelegate()
        var configuration = SMTPServerConfiguration.test
        configuration.mode = .startTLS
        configuration.tlsContext = { context }
        configuration.requireAuthentication = true
        configuration.allowCleartextAuthOnLoopback = false
        var body = ByteBuffer()
        while body.readableBytes < 20_000_000 {
            body.writeString("\(body.readableBytes)" + String(repeating: " line of a message\r\n", count: 1_000))
        }
        let sent = body
        try await withServer(configuration, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            #expect(try await client.ask("EHLO c\r\n").contains("250-STARTTLS"))
            #expect(try await client.ask(login).first?.hasPrefix("538 5.7.11") == true)
            #expect(try await client.ask("STARTTLS\r\n").first?.hasPrefix("220 2.0.0") == true)
            try await client.startTLS(certificate)
            #expect(try await client.ask("EHLO c\r\n").contains("250-AUTH PLAIN LOGIN"))
            #expect(try await client.ask(login).first?.hasPrefix("235") == true)
            _ = try await client.ask("MAIL FROM:<a@b.c> BODY=8BITMIME\r\n")
            _ = try await client.ask("RCPT TO:<d@e.f>\r\n")
            _ = try await client.ask("DATA\r\n")
            try await client.send(sent)
            #expect(try await client.ask(".\r\n") == ["250 2.0.0 Queued."])
            #expect(try await client.ask("QUIT\r\n") == ["221 2.0.0 Bye"])
            try await client.close()
        }
        let message = try #require(delegate.recorded.messages.first)
        #expect(message.data == sent)
        #expect(message.transaction.protocolName == "ESMTPSA")
        #expect(message.connection.isTLS)
        #expect(message.connection.tlsVersion == "TLSv1.3")
        #expect(message.connection.identity as? String == "ann")
    }

    @Test("implicit TLS greets after the handshake, and a new certificate is used by the next connection")
    func implicitTLS() async throws {
        let certificates = [try TestCertificate(), try TestCertificate()]
        let contexts = try certificates.map { try $0.serverContext() }
        let current = Mutex(0)
        var configuration = SMTPServerConfiguration.test
        configuration.mode = .implicitTLS
        configuration.tlsContext = { contexts[current.withLock { $0 }] }
        try await withServer(configuration, RecordingDelegate()) { port, _ in
            for (index, certificate) in certificates.enumerated() {
                current.withLock { $0 = index }
                // The client trusts this one certificate only, so a greeting proves that it was the one used.
                let client = try await TestClient.connect(port: port, tls: certificate)
                #expect(await client.reply() == ["220 mx.test ESMTP"])
                #expect(!(try await client.ask("EHLO c\r\n")).contains("250-STARTTLS"))
                #expect(try await client.ask("QUIT\r\n") == ["221 2.0.0 Bye"])
                try await client.close()
            }
        }
    }

    @Test("without a certificate STARTTLS is not offered")
    func noCertificate() async throws {
        var configuration = SMTPServerConfiguration.test
        configuration.mode = .startTLS
        try await withServer(configuration, RecordingDelegate()) { port, _ in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            #expect(!(try await client.ask("EHLO c\r\n")).contains("250-STARTTLS"))
            #expect(try await client.ask("STARTTLS\r\n").first?.hasPrefix("502") == true)
            try await client.close()
        }
    }

    @Test("commands in clear behind STARTTLS end the connection with a reason")
    func injection() async throws {
        let context = try TestCertificate().serverContext()
        let delegate = RecordingDelegate()
        var configuration = SMTPServerConfiguration.test
        configuration.mode = .startTLS
        configuration.tlsContext = { context }
        try await withServer(configuration, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            _ = try await client.ask("EHLO c\r\n")
            #expect(try await client.ask("STARTTLS\r\nRSET\r\n").first?.hasPrefix("554 5.5.0") == true)
            #expect(await client.reply() == [])
            try await client.close()
            #expect(await delegate.nextCloseReason() == .injectedBeforeTLS)
        }
    }

    @Test("a handshake that is none ends the connection with a reason")
    func brokenHandshake() async throws {
        let context = try TestCertificate().serverContext()
        let delegate = RecordingDelegate()
        var configuration = SMTPServerConfiguration.test
        configuration.mode = .implicitTLS
        configuration.tlsContext = { context }
        try await withServer(configuration, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            try await client.send("EHLO c\r\n")
            _ = await client.reply()
            try await client.close()
            guard case .tlsFailed = await delegate.nextCloseReason() else {
                Issue.record("not seen as a failure of TLS")
                return
            }
        }
    }

    @Test("who talks before the greeting hears 554 and nothing else")
    func earlyTalker() async throws {
        var configuration = SMTPServerConfiguration.test
        configuration.limits.greetingDelay = .seconds(50)
        let delegate = RecordingDelegate()
        try await withServer(configuration, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            #expect(try await client.ask("EHLO c\r\n").first?.hasPrefix("554 5.5.0") == true)
            #expect(await client.reply() == [])
            try await client.close()
            #expect(await delegate.nextCloseReason() == .spokeEarly)
        }
    }

    @Test("the reason of a hang-up arrives although much more was on its way")
    func lingering() async throws {
        let delegate = RecordingDelegate()
        try await withServer(.test, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            _ = try await client.ask("EHLO c\r\n")
            _ = try await client.ask("MAIL FROM:<a@b.c>\r\n")
            _ = try await client.ask("RCPT TO:<d@e.f>\r\n")
            _ = try await client.ask("DATA\r\n")
            try await client.send("one\n" + String(repeating: "more of it\r\n", count: 200_000))
            #expect(await client.reply().first?.hasPrefix("521 5.5.2") == true)
            #expect(await client.reply() == [])
            try await client.close()
            #expect(await delegate.nextCloseReason() == .badLineEnding)
            #expect(delegate.recorded.messages.isEmpty)
        }
    }

    @Test("a client that closes its side behind the message still hears that it was taken")
    func halfClosed() async throws {
        let delegate = RecordingDelegate(holdsMessages: true)
        try await withServer(.test, delegate) { port, _ in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            try await client.send("HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n")
            await delegate.nextArrival()
            try await client.channel.close(mode: .output)
            delegate.gate.open()
            for code in ["250", "250", "250", "354", "250 2.0.0 Queued."] {
                #expect(await client.reply().first?.hasPrefix(code) == true)
            }
            #expect(await client.reply() == [])
            #expect(await delegate.nextCloseReason() == .clientClosed)
        }
    }

    @Test("connections over the limits are told so, whichever listener they come to, and closing one makes room")
    func connectionLimits() async throws {
        let limiter = SMTPConnectionLimiter(maximum: 10, maximumPerAddress: 2)
        let delegates = [RecordingDelegate(), RecordingDelegate()]
        try await withServer(.test, delegates[0], limiter: limiter) { first, _ in
            try await withServer(.test, delegates[1], limiter: limiter) { second, _ in
                let one = try await TestClient.connect(port: first)
                #expect(await one.reply().first?.hasPrefix("220") == true)
                let two = try await TestClient.connect(port: second)
                #expect(await two.reply().first?.hasPrefix("220") == true)
                let three = try await TestClient.connect(port: first)
                #expect(await three.reply().first?.hasPrefix("421 4.7.0 Too many connections") == true)
                #expect(await three.reply() == [])
                #expect(limiter.count == 2)
                try await one.close()
                _ = await delegates[0].nextCloseReason()
                // The count goes down when the channel is gone, right after the delegate heard of it.
                while limiter.count == 2 { await Task.yield() }
                let four = try await TestClient.connect(port: second)
                #expect(await four.reply().first?.hasPrefix("220") == true)
                try await two.close()
                try await three.close()
                try await four.close()
            }
        }
        #expect(limiter.count == 0)
    }

    @Test("a port that is taken makes run and boundPort throw")
    func portTaken() async throws {
        try await withServer(.test, RecordingDelegate()) { port, _ in
            var configuration = SMTPServerConfiguration.test
            configuration.port = port
            let second = SMTPServer(
                configuration: configuration,
                delegate: RecordingDelegate(),
                logger: Logger(label: "test")
            )
            await #expect(throws: (any Error).self) { try await second.run() }
            await #expect(throws: (any Error).self) { try await second.boundPort }
        }
    }
}
