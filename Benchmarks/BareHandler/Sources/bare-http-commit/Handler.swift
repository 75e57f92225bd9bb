// One connection: collect a body, decode it, write it down, answer 202.

import JSON
import NIOCore
import NIOHTTP1

final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let commits: GroupCommit
    private var body = ByteBuffer()

    init(commits: GroupCommit) { self.commits = commits }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            body.clear()
        case .body(var part):
            body.writeBuffer(&part)
        case .end:
            answer(body, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ body: ByteBuffer, _ context: ChannelHandlerContext) {
        guard let document = try? body.withUnsafeReadableBytes({ try JSONParser.parse($0) }).objectValue,
            let recipient = document["recipient"]?.stringValue
        else { return respond(.badRequest, "{}", context) }

        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        commits.write(body, on: context.eventLoop).whenComplete { result in
            let (handler, context) = bound.value
            switch result {
            case .success(let id):
                let answer = """
                    {"id":"\(id)","status":"queued","messages":[{"id":"\(id)","recipient":"\(recipient)"}]}
                    """
                handler.respond(.accepted, answer, context)
            case .failure:
                handler.respond(.serviceUnavailable, "{}", context)
            }
        }
    }

    private func respond(_ status: HTTPResponseStatus, _ text: String, _ context: ChannelHandlerContext) {
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "content-type", value: "application/json")
        head.headers.add(name: "content-length", value: String(text.utf8.count))
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
