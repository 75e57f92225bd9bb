// Shorthand that the suites share.

import Logging
import NIOCore
import NIOPosix
import SMTP

@testable import SMTPClient

let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

extension ByteBuffer {
    static func text(_ string: String) -> ByteBuffer { ByteBuffer(string: string) }
}

extension SMTPReply {
    static func reply(_ code: UInt16, _ lines: String...) -> SMTPReply { SMTPReply(code, nil, lines) }
}

extension SMTPOutgoing {
    static func sample(to recipients: [String] = ["bob@example.net"], _ text: String = "Subject: hi\r\n\r\nhello\r\n")
        -> SMTPOutgoing
    {
        SMTPOutgoing(sender: "alice@example.com", recipients: recipients, data: .text(text))
    }
}

extension SMTPClientConfiguration {
    /// Nothing takes long on loopback.
    static var brisk: SMTPClientConfiguration {
        var configuration = SMTPClientConfiguration()
        configuration.timeouts.quit = .milliseconds(200)
        return configuration
    }
}

extension SMTPClientPool {
    /// A pool for the time of `body`, shut down afterwards.
    static func with<Result>(
        _ configuration: SMTPClientConfiguration = .brisk,
        _ body: (SMTPClientPool) async throws -> Result
    ) async rethrows -> Result {
        let pool = SMTPClientPool(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            configuration: configuration,
            logger: quietLogger
        )
        do {
            let result = try await body(pool)
            await pool.shutdown()
            return result
        } catch {
            await pool.shutdown()
            throw error
        }
    }
}

extension SMTPDeliveryResult {
    var statuses: [SMTPRecipientStatus] { outcomes.map(\.status) }
    var failure: SMTPFailure? { outcomes.first?.status.failure }
    var isDelivered: Bool { outcomes.allSatisfy { $0.status.isDelivered } }
}

extension SMTPRecipientStatus {
    var isDelivered: Bool { if case .delivered = self { true } else { false } }
    var isTransient: Bool { if case .transient = self { true } else { false } }
    var isPermanent: Bool { if case .permanent = self { true } else { false } }
}
