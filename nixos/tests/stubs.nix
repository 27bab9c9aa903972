# The NixOS options that our module touches, as nixpkgs declares them, and nothing behind them.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
in
{
  options = {
    assertions = option (types.listOf types.anything) [ ];
    warnings = option (types.listOf types.str) [ ];
    environment.systemPackages = option (types.listOf types.package) [ ];
    environment.loginShellInit = option types.lines "";
    environment.etc = option (types.attrsOf types.anything) { };
    fileSystems = option (types.attrsOf types.anything) { };
    boot.kernelParams = option (types.listOf types.str) [ ];
    boot.loader = {
      efi.efiSysMountPoint = option types.str "/boot";
      efi.canTouchEfiVariables = option types.bool false;
      grub = {
        enable = option types.bool false;
        # A number or a string.
        default = option types.anything "0";
        mirroredBoots = option (types.listOf types.anything) [ ];
      };
      generic-extlinux-compatible = {
        enable = option types.bool false;
        configurationLimit = option types.int 20;
        mirroredBoots = option (types.listOf types.anything) [ ];
      };
      external = {
        enable = option types.bool false;
        installHook = option types.path "/nowhere";
      };
      systemd-boot = {
        enable = option types.bool false;
        extraInstallCommands = option types.lines "";
        xbootldrMountPoint = option (types.nullOr types.str) null;
        bootCounting.enable = option types.bool false;
        extraFiles = option (types.attrsOf types.anything) { };
      };
    };
    boot.lanzaboote = {
      enable = option types.bool false;
      configurationLimit = option (types.nullOr types.int) null;
    };
    systemd = {
      package = mkOption { type = types.anything; default = { name = "systemd"; version = "257.9"; }; };
      mounts = option (types.listOf types.anything) [ ];
      packages = option (types.listOf types.package) [ ];
      paths = option (types.attrsOf types.anything) { };
      services = option (types.attrsOf types.anything) { };
      settings.Manager = option (types.attrsOf types.anything) { };
      sockets = option (types.attrsOf types.anything) { };
      targets = option (types.attrsOf types.anything) { };
      timers = option (types.attrsOf types.anything) { };
      tmpfiles.rules = option (types.listOf types.str) [ ];
    };
    users.groups = option (types.attrsOf types.anything) { };
    system.build.installBootLoader = option types.anything "/nix/store/ffffffffffffffffffffffffffffffff-installer --flag";
    system.configurationRevision = option (types.nullOr types.str) null;
    system.preSwitchChecks = option (types.attrsOf types.lines) { };
  };
}
