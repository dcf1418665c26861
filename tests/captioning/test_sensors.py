"""What is read of the computer and its user: a real X server, a real bus, a Wayland socket."""

import collections
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest

from photosearch.captioning import presence_wayland, sensors
from photosearch.captioning.presence import FirstKnown, FunctionProbe
from photosearch.captioning.sensors import Sensors

if sys.platform != "linux":
    pytest.skip("tries Linux' ways to ask", allow_module_level=True)

import pty

import jeepney
from jeepney.io.blocking import open_dbus_connection
from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.ext import xtest

from photosearch.captioning.presence_linux import (
    LogindIdle,
    MutterIdle,
    TerminalIdle,
    X11FullScreen,
    X11Idle,
    full_screen_ways,
    idle_ways,
    session_bus,
)

SOCKET_LEFT = pytest.mark.filterwarnings(
    # python-xlib leaves the socket of a connection that failed to the garbage collector.
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


def until(reads, deadline_s=10.0):
    """Return what `reads` does once it is true, at the latest after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := reads():
            return value
        time.sleep(0.01)
    return reads()


@contextmanager
def server(command, name):
    """Run a server that writes where it listens to a file descriptor; yields that and it."""
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}: apt install {name}")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [part.format(fd=writing) for part in command],
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            yield lines.readline().strip(), process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def x_server():
    with server(("Xvfb", "-displayfd", "{fd}", "-nolisten", "tcp"), "xvfb") as (number, process):
        yield f":{number}", process


@pytest.fixture
def x_display(x_server):
    display = Display(x_server[0])
    yield display
    display.close()


@pytest.fixture
def bus():
    command = ("dbus-daemon", "--session", "--nofork", "--print-address={fd}")
    with server(command, "dbus") as (address, process):
        yield address, process


@contextmanager
def service(address, name, reply):
    """Serve `name` on the bus: `reply` gets a message and returns what to answer, if anything."""
    connection = open_dbus_connection(address)
    owner = jeepney.DBusAddress(
        "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
    )
    request = jeepney.new_method_call(owner, "RequestName", "su", (name, 0))
    connection.send_and_get_reply(request)
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            try:
                message = connection.receive(timeout=0.05)
            except (TimeoutError, ConnectionError):
                continue
            if message.header.message_type is jeepney.MessageType.method_call:
                answer = reply(message)
                if answer is not None:
                    connection.send(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        connection.close()


def move_mouse(display, x, y):
    xtest.fake_input(display, X.MotionNotify, x=x, y=y)
    display.sync()


def test_x11_idle_time_rises_and_falls_with_the_mouse(x_server, x_display):
    probe = X11Idle(x_server[0])
    move_mouse(x_display, 5, 5)
    assert until(lambda: probe.read() >= 1.0)
    move_mouse(x_display, 50, 50)
    assert probe.read() < 0.9
    probe.close()
    probe.close()


@SOCKET_LEFT
def test_x11_server_that_ends_and_returns(x_server):
    name, process = x_server
    probes = (X11Idle(name), X11FullScreen(name, sees_all=True))
    assert probes[0].read() is not None
    assert probes[1].read() is None  # no window manager
    process.kill()
    process.wait()
    assert [probe.read() for probe in probes] == [None, None]
    assert [probe.read() for probe in probes] == [None, None]
    again = subprocess.Popen(("Xvfb", name, "-nolisten", "tcp"), stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: probes[0].read() is not None)
        for probe in probes:
            probe.close()
    finally:
        again.kill()
        again.wait()


@SOCKET_LEFT
@pytest.mark.parametrize("name", ["", ":47123", "nonsense", ":0.x"])
def test_no_x_server_is_unknown_at_once(name):
    started = time.monotonic()
    assert X11Idle(name).read() is None
    assert X11FullScreen(name, sees_all=True).read() is None
    assert time.monotonic() - started < 5


def test_full_screen_as_a_window_manager_tells_it(x_server, x_display):
    root = x_display.screen().root
    active, state, filled, hidden = (
        x_display.intern_atom(name)
        for name in (
            "_NET_ACTIVE_WINDOW",
            "_NET_WM_STATE",
            "_NET_WM_STATE_FULLSCREEN",
            "_NET_WM_STATE_HIDDEN",
        )
    )
    probe = X11FullScreen(x_server[0], sees_all=True)
    under_wayland = X11FullScreen(x_server[0], sees_all=False)

    def reads():
        x_display.sync()
        return probe.read(), under_wayland.read()

    assert reads() == (None, None)
    root.change_property(active, Xatom.WINDOW, 32, [X.NONE])
    assert reads() == (False, None)
    window = root.create_window(0, 0, 100, 100, 0, x_display.screen().root_depth)
    root.change_property(active, Xatom.WINDOW, 32, [window.id])
    assert reads() == (False, None)
    window.change_property(state, Xatom.ATOM, 32, [hidden, filled])
    assert reads() == (True, True)
    window.change_property(state, Xatom.ATOM, 32, [hidden])
    assert reads() == (False, None)
    window.change_property(state, Xatom.ATOM, 32, [filled])
    window.destroy()
    assert reads() == (False, None)
    probe.close()
    under_wayland.close()


def test_gnome_tells_idle_time(bus):
    address, process = bus
    answers = [
        lambda m: jeepney.new_method_return(m, "t", (1234,)),
        lambda m: jeepney.new_error(m, "org.freedesktop.DBus.Error.Failed", "s", ("no",)),
        lambda _: None,
        lambda m: jeepney.new_method_return(m, "s", ("soon",)),
        jeepney.new_method_return,
        lambda m: jeepney.new_method_return(m, "t", (5,)),
    ]
    probe = MutterIdle(address)
    assert probe.read() is None  # nobody of this name
    asked = []

    def reply(message):
        asked.append(message)
        return answers[len(asked) - 1](message)

    with service(address, "org.gnome.Mutter.IdleMonitor", reply):
        assert [probe.read() for _ in answers] == [1.234, None, None, None, None, 0.005]
    fields = asked[0].header.fields
    assert fields[jeepney.HeaderFields.path] == "/org/gnome/Mutter/IdleMonitor/Core"
    assert fields[jeepney.HeaderFields.interface] == "org.gnome.Mutter.IdleMonitor"
    assert fields[jeepney.HeaderFields.member] == "GetIdletime"
    process.kill()
    process.wait()
    assert probe.read() is None
    probe.close()


@pytest.mark.parametrize(
    ("told", "low", "high"),
    [
        ({"Type": "x11", "IdleHint": True, "ago_s": 90}, 90, 95),
        ({"Type": "wayland", "IdleHint": False, "ago_s": 90}, 0, 0),
        ({"Type": "wayland", "IdleHint": True, "ago_s": -5}, 0, 0),
        ({"Type": "wayland", "IdleHint": False, "ago_s": None}, None, None),
        ({"Type": "tty", "IdleHint": True, "ago_s": 90}, None, None),
    ],
)
def test_logind_tells_idle_time_only_for_desktops_that_ever_told_it(bus, told, low, high):
    def reply(message):
        since_us = 0 if told["ago_s"] is None else int((time.monotonic() - told["ago_s"]) * 1e6)
        values = {
            "Type": ("s", told["Type"]),
            "IdleHint": ("b", told["IdleHint"]),
            "IdleSinceHintMonotonic": ("t", since_us),
        }
        return jeepney.new_method_return(message, "a{sv}", (values,))

    probe = LogindIdle(bus[0])
    with service(bus[0], "org.freedesktop.login1", reply):
        idle_s = probe.read()
    probe.close()
    assert idle_s is None if low is None else low <= idle_s <= high


@pytest.mark.parametrize(
    "address", ["", "nonsense", "unix:path=/nowhere/bus", "tcp:host=localhost,port=1", "unix:x=y"]
)
def test_no_bus_is_unknown_at_once(address):
    started = time.monotonic()
    assert MutterIdle(address).read() is None
    assert LogindIdle(address).read() is None
    assert time.monotonic() - started < 2


def test_a_bus_that_hangs_is_given_up(bus):
    address, process = bus
    opened = MutterIdle(address)
    assert opened.read() is None
    process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert opened.read() is None
    assert MutterIdle(address).read() is None
    assert time.monotonic() - started < 3
    process.send_signal(signal.SIGCONT)


def test_the_users_bus_is_found_without_a_variable(tmp_path):
    assert session_bus({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}) == "unix:path=/x"
    assert session_bus({}) == ""
    assert session_bus({"XDG_RUNTIME_DIR": str(tmp_path)}) == ""
    (tmp_path / "bus").touch()
    assert session_bus({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix:path={tmp_path}/bus"


class Compositor(threading.Thread):
    """Speaks the server's half of Wayland's registry and of the two idle protocols."""

    def __init__(self, path, interfaces):
        super().__init__()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._interfaces = interfaces
        self._client = None
        self.asked = {}  # notification: (object asked, opcode, timeout in ms, seat)
        self.bound = {}  # object: interface

    def run(self):
        self._client, _ = self._listener.accept()
        received = b""
        while chunk := self._client.recv(4096):
            received += chunk
            while len(received) >= 8:
                object_id, size_opcode = struct.unpack_from("=II", received)
                body, received = received[8 : size_opcode >> 16], received[size_opcode >> 16 :]
                self._take(object_id, size_opcode & 0xFFFF, body)

    def _take(self, object_id, opcode, body):
        if (object_id, opcode) == (1, 1):
            (self._registry,) = struct.unpack("=I", body)
            for name, interface in enumerate(self._interfaces, 11):
                text = interface.encode() + b"\0"
                text += b"\0" * (-len(text) % 4)
                head = struct.pack("=II", name, len(interface) + 1)
                self.send(self._registry, 0, head + text + struct.pack("=I", 1))
        elif (object_id, opcode) == (1, 0):
            (callback,) = struct.unpack("=I", body)
            self.send(callback, 0, struct.pack("=I", 0))
        elif object_id == self._registry:
            name, length = struct.unpack_from("=II", body)
            assert body[8 : 8 + length - 1].decode() == self._interfaces[name - 11]
            version, new_id = struct.unpack("=II", body[-8:])
            assert version == 1
            self.bound[new_id] = self._interfaces[name - 11]
        else:
            self.asked[struct.unpack_from("=I", body)[0]] = (
                self.bound[object_id], opcode, *struct.unpack("=II", body[4:]),
            )  # fmt: skip

    def send(self, object_id, opcode, body=b""):
        message = struct.pack("=II", object_id, (8 + len(body)) << 16 | opcode) + body
        for part in (message[:5], message[5:]):  # as a stream may cut it
            self._client.sendall(part)

    def close(self):
        self._listener.close()
        if self._client is not None:
            self._client.close()


@contextmanager
def compositor(tmp_path, *interfaces):
    running = Compositor(tmp_path / "wayland-7", interfaces)
    running.start()
    probe = presence_wayland.WaylandIdle(
        {"XDG_RUNTIME_DIR": str(tmp_path), "WAYLAND_DISPLAY": "wayland-7"}
    )
    try:
        yield running, probe
    finally:
        probe.close()
        running.join()
        running.close()


@pytest.mark.parametrize(
    ("interfaces", "asked"),
    [
        (("wl_seat", "org_kde_kwin_idle"), ("org_kde_kwin_idle", 0)),
        (("ext_idle_notifier_v1", "wl_output", "wl_seat"), ("ext_idle_notifier_v1", 1)),
        (("org_kde_kwin_idle", "ext_idle_notifier_v1", "wl_seat"), ("ext_idle_notifier_v1", 1)),
    ],
)
def test_wayland_compositor_tells_when_nobody_is_there(tmp_path, interfaces, asked):
    with compositor(tmp_path, *interfaces) as (running, probe):
        assert probe.read() == 0.0
        assert until(lambda: running.asked)
        ((notification, request),) = running.asked.items()
        assert request[:2] == asked
        assert {running.bound.get(part, part) for part in request[2:]} == {10_000, "wl_seat"}
        running.send(notification, 0)
        assert 10.0 <= until(probe.read) < 15.0
        running.send(notification, 1)
        assert until(lambda: probe.read() == 0.0)


def test_wayland_with_two_seats_is_idle_when_both_are(tmp_path):
    with compositor(tmp_path, "wl_seat", "ext_idle_notifier_v1", "wl_seat") as (running, probe):
        assert probe.read() == 0.0
        assert until(lambda: len(running.asked) == 2)
        first, second = running.asked
        running.send(first, 0)
        running.send(99, 0)
        running.send(second, 0)
        assert until(probe.read) >= 10.0


@pytest.mark.parametrize("interfaces", [(), ("wl_seat",), ("ext_idle_notifier_v1",)])
def test_wayland_compositor_that_can_not_tell_is_unknown(tmp_path, interfaces):
    with compositor(tmp_path, *interfaces) as (_, probe):
        assert probe.read() is None


@pytest.mark.parametrize(
    "garbage", [struct.pack("=IIII", 1, 16 << 16, 0, 0), b"HTTP/1.1 400 Bad Request\r\n", b"\0" * 9]
)
def test_wayland_compositor_that_errs_is_unknown_and_asked_anew(tmp_path, garbage):
    with compositor(tmp_path, "wl_seat", "ext_idle_notifier_v1") as (running, probe):
        assert probe.read() == 0.0
        running._client.sendall(garbage)
        running._client.shutdown(socket.SHUT_WR)
        assert until(lambda: probe.read() is None)
    (tmp_path / "wayland-7").unlink()
    with compositor(tmp_path, "wl_seat", "ext_idle_notifier_v1") as (_, probe):
        assert probe.read() == 0.0


def test_no_wayland_is_unknown(tmp_path):
    assert presence_wayland.WaylandIdle({"XDG_RUNTIME_DIR": str(tmp_path)}).read() is None
    assert presence_wayland.WaylandIdle({}).read() is None


def test_a_silent_socket_is_given_up(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "wayland-0"))
        listener.listen()
        started = time.monotonic()
        assert presence_wayland.WaylandIdle({"XDG_RUNTIME_DIR": str(tmp_path)}).read() is None
        assert time.monotonic() - started < 2


def test_terminals_of_a_server(tmp_path):
    (tmp_path / "pts").mkdir()
    assert TerminalIdle(tmp_path).read() is None
    now = time.time()
    for name, ago_s in (("pts/0", 500), ("pts/1", 90), ("tty1", 9000), ("pts/ptmx", 1)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now - ago_s, now))
    probe = TerminalIdle(tmp_path)
    assert 90 <= probe.read() < 95
    os.utime(tmp_path / "pts/0", (now + 3600, now))  # the clock was put back
    assert probe.read() < 5
    os.utime(tmp_path / "pts/0", (now, now))
    assert probe.read() < 5
    (tmp_path / "pts/0").unlink()
    assert 90 <= probe.read() < 95


def test_a_real_terminal_that_was_just_opened_is_in_use():
    leader, terminal = pty.openpty()
    try:
        assert TerminalIdle().read() < 10
    finally:
        os.close(leader)
        os.close(terminal)


def test_x_is_not_asked_under_wayland_nor_terminals_on_a_desktop(x_server, tmp_path):
    def idle(env):
        probe = FirstKnown(idle_ways({**env, "XDG_RUNTIME_DIR": str(tmp_path)}))
        value = probe.read()
        probe.close()
        return value

    name = x_server[0]
    assert idle({"DISPLAY": name}) is not None
    assert idle({"DISPLAY": name, "WAYLAND_DISPLAY": "wayland-0"}) is None
    assert idle({"DISPLAY": name, "XDG_SESSION_TYPE": "wayland"}) is None
    assert full_screen_ways({}) == ()
    assert len(full_screen_ways({"DISPLAY": name})) == 1


def test_the_first_way_with_an_answer_is_kept_until_it_has_none():
    answers = {"a": [None, 1.0, 2.0, None, 5.0], "b": [3.0, 4.0, None]}
    opened = []

    def way(name):
        opened.append(name)
        return FunctionProbe(lambda: answers[name].pop(0))

    probe = FirstKnown([lambda: way("a"), lambda: way("b")])
    read = [probe.read() for _ in range(5)]
    assert read == [3.0, 4.0, 1.0, 2.0, 5.0]
    assert opened == ["a", "b", "a", "a"]


def test_a_failing_system_call_is_unknown():
    def fails():
        raise PermissionError

    assert FunctionProbe(fails).read() is None


def test_sensors_see_the_user_return_within_a_blink(x_server, x_display, monkeypatch):
    monkeypatch.setenv("DISPLAY", x_server[0])
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    monkeypatch.setattr(sensors, "_IDLE_AWAY_S", 0.5)  # else the test takes 20 s
    watched = Sensors(lambda: (), patience_s=5)
    try:
        move_mouse(x_display, 1, 1)
        assert until(lambda: watched.idle_s() > 1.0)
        move_mouse(x_display, 9, 9)
        moved = time.monotonic()
        assert until(lambda: watched.idle_s() < 0.5)
        assert time.monotonic() - moved < 1.0
    finally:
        watched.close()
    watched.close()


def test_a_probe_that_hangs_holds_nobody_up(monkeypatch):
    go = threading.Event()

    class Hanging:
        reads = 0
        closed = False

        def read(self):
            self.reads += 1
            if self.reads > 1:
                go.wait()
            return 7.0

        def close(self):
            self.closed = True

    probe = Hanging()
    watch = sensors._Watch("hanging", probe, lambda _: 0.0, 5.0)
    assert watch.latest() == 7.0
    assert until(lambda: probe.reads == 2)
    started = time.monotonic()
    assert watch.latest() == 7.0
    monkeypatch.setattr(sensors, "_STALE_S", 0.0)
    assert watch.latest() is None
    assert time.monotonic() - started < 1
    watch.close()
    assert time.monotonic() - started < 2
    assert not probe.closed
    go.set()
    watch._thread.join()
    assert probe.closed


def test_a_probe_that_raises_is_tried_again(monkeypatch, caplog):
    monkeypatch.setattr(sensors, "_UNKNOWN_PERIOD_S", 0.0)

    class Raising:
        reads = 0

        def read(self):
            self.reads += 1
            if self.reads < 4:
                raise psutil.AccessDenied
            return 7.0

        def close(self):
            pass

    watch = sensors._Watch("raising", Raising(), lambda _: 0.1, 0.0)
    try:
        assert until(lambda: watch.latest() == 7.0)
    finally:
        watch.close()
    assert len(caplog.records) == 1


def test_closed_sensors_read_nothing():
    watched = Sensors(lambda: ())
    watched.close()
    assert watched.on_mains() is None
    watched.close()


def test_the_load_of_others_leaves_ours_out():
    burner = subprocess.Popen((sys.executable, "-c", "while True: pass"))
    try:
        all_load, others_load = sensors._OthersLoad(tuple), sensors._OthersLoad(
            lambda: (burner.pid, 999_999_999)
        )  # fmt: skip
        all_load.read()
        others_load.read()
        begun = psutil.cpu_times()
        burnt = psutil.Process(burner.pid).cpu_times
        before = burnt().user
        assert until(lambda: burnt().user > before + 0.5, 60)
        everything, others = all_load.read(), others_load.read()
        ended = psutil.cpu_times()
    finally:
        burner.kill()
        burner.wait()
    passed = sum(ended) - sum(begun)
    assert others < everything
    assert everything - others == pytest.approx(100 * 0.5 / passed, rel=0.35)


_Reading = collections.namedtuple("_Reading", "label current high critical")


@pytest.mark.parametrize(
    ("chips", "celsius"),
    [
        ({}, None),
        ({"nvme": [("Composite", 71.0)], "iwlwifi_1": [("", 80.0)]}, None),
        ({"coretemp": [("Package id 0", 55.0), ("Core 0", 61.0)], "nvme": [("", 90.0)]}, 61.0),
        ({"k10temp": [("Tctl", 66.0)], "amdgpu": [("edge", 72.0), ("junction", 0.0)]}, 72.0),
        ({"thinkpad": [("CPU", 50.0), ("", 58.0)], "acpitz": [("", 65261.0)]}, 50.0),
        ({"cpu_thermal": [("", 48.3)]}, 48.3),
        ({"coretemp": [("Core 0", 0.0), ("Core 1", 65261.0)]}, None),
    ],
)
def test_temperature_is_the_hottest_of_what_computes(monkeypatch, chips, celsius):
    found = {
        chip: [_Reading(label, current, None, None) for label, current in entries]
        for chip, entries in chips.items()
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found)
    assert sensors._celsius() == celsius


@pytest.mark.parametrize(
    ("plugged", "mains"), [(True, True), (False, False), (None, None), ("no battery", True)]
)
def test_mains_power(monkeypatch, plugged, mains):
    battery = collections.namedtuple("battery", "power_plugged")(plugged)
    monkeypatch.setattr(
        psutil, "sensors_battery", lambda: None if plugged == "no battery" else battery
    )
    assert sensors._on_mains() is mains
