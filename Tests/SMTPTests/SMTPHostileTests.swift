// Clients that mean harm, or are something else altogether: the session must answer or hang up, never hang or grow.

import NIOCore
import SMTP
import Testing

@Suite("Hostile SMTP clients")
struct SMTPHostileTests {
    @Test("an endless command line is thrown away up to a limit, then the client is")
    func endlessLine() {
        var driver = SessionDriver(.open.with { $0.discardedOctets = 100_000 })
        _ = driver.replies()
        let piece = [UInt8](repeating: UInt8(ascii: "A"), count: 10_000)
        var pieces = 0
        while driver.closeReason == nil && pieces < 100 {
            driver.feed(piece)
            pieces += 1
        }
        #expect(driver.closeReason == .flood)
        #expect(pieces <= 11)
    }

    @Test("a line without an end, octet by octet, costs linear time")
    func drippedLine() {
        var driver = SessionDriver()
        _ = driver.replies()
        let clock = ContinuousClock()
        let time = clock.measure { for _ in 0..<200_000 { driver.feed(CollectionOfOne(UInt8(ascii: "A"))) } }
        #expect(driver.send("\r\n").map { $0.prefix(9) } == ["500 5.5.2"])
        #expect(time < .seconds(10))
    }

    @Test("a browser that is made to talk to us is not served (cross-protocol requests)")
    func http() {
        var driver = SessionDriver()
        _ = driver.replies()
        let request = "POST / HTTP/1.1\r\nHost: mx.test\r\n\r\nEHLO c\r\nMAIL FROM:<a@b.c>\r\n"
        #expect(driver.send(request).map { $0.prefix(9) } == ["554 5.5.0"])
        #expect(driver.closeReason == .notSMTP)
    }

    @Test("a TLS hello where clear text is due ends the session")
    func tlsHello() {
        var driver = SessionDriver()
        _ = driver.replies()
        #expect(driver.send(bytes: [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]).map { $0.prefix(9) } == ["521 5.5.2"])
    }

    @Test("commands that are not text are refused")
    func binaryCommands() {
        var driver = SessionDriver()
        _ = driver.replies()
        #expect(driver.send(bytes: [0xFF, 0xFE, 0x80, 13, 10]).map { $0.prefix(9) } == ["500 5.5.1"])
        #expect(driver.send(bytes: Array("EHLO ".utf8) + [0xFF, 13, 10]).map { $0.prefix(9) } == ["501 5.5.4"])
        #expect(driver.send(bytes: Array("MAIL FROM:<".utf8) + [0xC3, 0x28] + Array("@b.c>\r\n".utf8)).count == 1)
    }

    @Test("whatever the client says, a reply is lines of a code and at most 512 octets")
    func replyInjection() {
        var driver = SessionDriver(.open.with { ($0.errors, $0.unauthenticatedCommands) = (1_000_000, 1_000_000) })
        _ = driver.send("EHLO c\r\n")
        var seed: UInt64 = 42
        for _ in 0..<2_000 {
            let length = Int(seed % 600)
            var line: [UInt8] = Array("MAIL FROM:<a@b.c> ".utf8)
            for _ in 0..<length {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let byte = UInt8(truncatingIfNeeded: seed >> 33)
                line.append(byte == 0 || byte == 10 || byte == 13 ? UInt8(ascii: "-") : byte)
            }
            for reply in driver.send(bytes: line + [13, 10]) {
                #expect(reply.utf8.count <= 510)
                #expect(reply.utf8.allSatisfy { (0x20...0x7E).contains($0) })
                #expect(Int(reply.prefix(3)) != nil)
            }
            _ = driver.send("RSET\r\n")
        }
    }

    @Test("random bytes in random pieces end in a reply or a close, and never in a stored message")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var driver = SessionDriver()
            for _ in 0..<20 where driver.closeReason == nil {
                driver.feed(
                    (0..<Int.random(in: 1...300, using: &generator)).map { _ in
                        UInt8.random(in: 0...255, using: &generator)
                    }
                )
            }
            #expect(driver.stored.isEmpty)
        }
    }

    @Test("nothing that comes after the end of a session has any effect")
    func afterTheEnd() {
        var driver = SessionDriver()
        _ = driver.send("QUIT\r\nEHLO c\r\nMAIL FROM:<a@b.c>\r\n")
        #expect(driver.closeReason == .quit)
        #expect(driver.send("RCPT TO:<d@e.f>\r\nDATA\r\n") == [])
        driver.wait(.hours(2))
        driver.shutDown()
        #expect(driver.replies() == [])
    }
}
