"""The messaging port (TCP): who is connected is a player, and hears what it says."""

import logging
import socket
import socketserver

from standin.world import World

log = logging.getLogger(__name__)


class _Echo(socketserver.BaseRequestHandler):
    server: "MessagingServer"

    def handle(self) -> None:
        self.server.world.join()
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except ConnectionError as error:
            log.warning("Player %s dropped: %s", self.client_address[0], error.strerror)
        finally:
            self.server.world.leave()


class MessagingServer(socketserver.ThreadingTCPServer):
    """Echoes each connection on a thread of its own; `serve_forever` runs it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listener: socket.socket, world: World) -> None:
        super().__init__(listener.getsockname(), _Echo, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_activate()
        self.world = world
