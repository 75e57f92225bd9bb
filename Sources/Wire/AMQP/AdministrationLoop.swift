// The administration's thread: runs calls one after the other on a connection that it makes when one is wanted.

internal import Logging

/// Belongs to its thread.
final class AdministrationLoop {
    private let logger: Logger
    private let control: AMQPControl
    private let calls: AdministrationCalls
    private let session: AdministrationSession

    init(
        _ configuration: AMQPConfiguration, _ logger: Logger, _ control: AMQPControl, _ calls: AdministrationCalls
    ) {
        self.logger = logger
        self.control = control
        self.calls = calls
        self.session = AdministrationSession(configuration, control)
    }

    func run() {
        while !control.isStopping {
            while !control.isStopping, let call = calls.next() {
                if let error = call.run(.success(session)) {
                    logger.debug("a call to the broker failed", metadata: ["reason": "\(error.message)"])
                    session.failed(error)
                }
            }
            guard !control.isStopping else { break }
            let patience = session.attend()
            control.wait(for: session.socket, atMost: patience)
        }
        calls.end(AMQPError(.stopped, "shut down"))
        session.close()
        control.end()
    }
}
