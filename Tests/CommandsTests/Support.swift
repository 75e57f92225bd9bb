// A terminal that records, and an HTTP server in this process that answers as a test says.

import ArgumentParser
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

@testable import Commands

/// The program as the composition root puts it together.
struct Postern: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postern",
        subcommands: [
            SendCommand.self, KeyCommand.self, SMTPUserCommand.self, MessageCommand.self, SettingsCommand.self,
            PoolCommand.self, SecretsCommand.self, AuditCommand.self, QueueCommand.self, MailerQCommand.self,
            AlertCommand.self, LoginCommand.self, LogoutCommand.self, AccountCommand.self, UserCommand.self,
            InvitationCommand.self, MemberCommand.self, VaultCommand.self, PlanCommand.self, AccessCommand.self,
        ])
}

struct CommandResult {
    let code: Int32
    let output: String
    let notes: String
    var questions: [Question] = []
}

func postern(
    _ arguments: String...,
    server: FakeServer? = nil,
    input: String = "",
    isInteractive: Bool = false
) async -> CommandResult {
    await run(arguments, server: server, input: input, isInteractive: isInteractive)
}

/// What a command finds on its machine, beside the server.
struct Desk: Sendable {
    var environment: [String: String] = [:]
    /// What the person types, in the order of the questions; `nil`: there is no terminal.
    var answers: [String]? = nil
    /// The clock, in seconds.
    var now: Int64 = 1_800_000_000

    /// With logins kept in a directory of the test's own.
    static func home(_ directory: TemporaryDirectory, answers: [String]? = nil) -> Desk {
        Desk(environment: ["XDG_CONFIG_HOME": directory.path], answers: answers)
    }
}

/// Runs a command line to its end, with nothing of this process' environment in it.
func run(
    _ arguments: [String],
    server: FakeServer? = nil,
    input: String = "",
    isInteractive: Bool = false,
    desk: Desk = Desk()
) async -> CommandResult {
    let written = Mutex<(output: [UInt8], notes: [String], questions: [Question])>(([], [], []))
    let environment = ["POSTERN_DATA_DIR": "/nonexistent", "POSTERN_URL": server?.url ?? ""]
        .merging(desk.environment) { $1 }
    let terminal = Terminal(
        output: { bytes in written.withLock { $0.output += bytes } },
        note: { text in written.withLock { $0.notes.append(text) } },
        input: { Array(input.utf8) },
        environment: { environment[$0] },
        ask: { question throws(CommandFailure) in
            let index = written.withLock { written in
                written.questions.append(question)
                return written.questions.count - 1
            }
            guard let answers = desk.answers else { return nil }
            guard index < answers.count else {
                throw .failed("asked for \(question.prompt), which the test did not expect")
            }
            return answers[index]
        },
        now: { desk.now },
        isInteractive: isInteractive)
    let code = await Terminal.$current.withValue(terminal) { await CommandRunner.run(Postern.self, arguments) }
    return written.withLock { written in
        CommandResult(
            code: code, output: String(decoding: written.output, as: UTF8.self),
            notes: written.notes.joined(separator: "\n"), questions: written.questions)
    }
}

/// Counts calls from any thread.
final class Counter: Sendable {
    private let count = Atomic(0)

    /// 0 the first time.
    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).oldValue }
}

struct Answer: Sendable {
    var status = 200
    var headers: [(String, String)] = []
    var body = ""

    static func json(_ text: String, status: Int = 200) -> Answer {
        Answer(status: status, headers: [("Content-Type", "application/json")], body: text)
    }
}

final class FakeServer: Sendable {
    struct Request: Sendable {
        /// Method and target.
        let line: String
        let headers: [String: [String]]
        let body: [UInt8]

        init(head: HTTPRequestHead, body: [UInt8]) {
            line = "\(head.method) \(head.uri)"
            headers = Dictionary(head.headers.map { ($0.name.lowercased(), [$0.value]) }, uniquingKeysWith: +)
            self.body = body
        }

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    typealias Script = @Sendable (Request) -> Answer?

    private let channel: any Channel
    private let received: Received

    var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }
    var requests: [Request] { received.requests.withLock { $0 } }

    private final class Received: Sendable {
        let requests = Mutex<[Request]>([])
    }

    private init(channel: any Channel, received: Received) {
        self.channel = channel
        self.received = received
    }

    /// Runs `body` with a server that answers each request by `script`; `nil` hangs up without a word.
    static func with<Result>(
        _ script: @escaping Script,
        _ body: (FakeServer) async throws -> Result
    ) async throws -> Result {
        let received = Received()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler { request in
                            received.requests.withLock { $0.append(request) }
                            return script(request)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let result: Result
        do {
            result = try await body(FakeServer(channel: channel, received: received))
        } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
        return result
    }

    /// One answer for every request.
    static func with<Result>(
        _ answer: Answer,
        _ body: (FakeServer) async throws -> Result
    ) async throws -> Result {
        try await with({ _ in answer }, body)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let script: Script
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ script: @escaping Script) { self.script = script }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let buffer): body += buffer.readableBytesView
            case .end:
                guard let head, let answer = script(Request(head: head, body: body)) else {
                    return context.close(promise: nil)
                }
                self.head = nil
                body = []
                write(answer, context)
            }
        }

        private func write(_ answer: Answer, _ context: ChannelHandlerContext) {
            var headers = HTTPHeaders(answer.headers)
            headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)")
            let head = HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
