// The port of a listener, for those who ask before it listens: port 0 is only known after the bind.

import Synchronization

final class SMTPBoundPort: Sendable {
    private enum State {
        case unknown(waiting: [CheckedContinuation<Int, any Error>])
        case known(Result<Int, any Error>)
    }

    private let state = Mutex(State.unknown(waiting: []))

    func resolve(_ result: Result<Int, any Error>) {
        let waiting = state.withLock { state -> [CheckedContinuation<Int, any Error>] in
            guard case .unknown(let waiting) = state else { return [] }
            state = .known(result)
            return waiting
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    var value: Int {
        get async throws {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Int, any Error>? in
                    switch state {
                    case .known(let result):
                        return result
                    case .unknown(let waiting):
                        state = .unknown(waiting: waiting + [continuation])
                        return nil
                    }
                }
                if let result { continuation.resume(with: result) }
            }
        }
    }
}
