// A thread of our own: librabbitmq blocks, and a connection belongs to one thread.

internal import CRabbitMQShims

#if canImport(Glibc)
internal import Glibc
#endif

enum AMQPThread {
    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Runs `body` on a new thread; `name` has at most 15 bytes.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let argument = Unmanaged.passRetained(Body(name, body)).toOpaque()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                postern_amqp_name_thread(body.name)
                body.run()
                return nil
            }, argument)
        precondition(status == 0, "no thread can be made: \(systemMessage(status))")
    }
}
