# The part of nixpkgs' `lib` that our module uses, for machines that have no nixpkgs. Whoever has one evaluates with the
# real thing: `cargo xtask nix --nixpkgs PATH`. Names and messages are those of nixpkgs.
let
  inherit (builtins)
    all any attrNames attrValues concatLists concatMap elem filter foldl' head isAttrs isBool isFunction isInt isList isPath
    isString listToAttrs mapAttrs sort stringLength substring;

  lib = rec {
    inherit any attrNames attrValues concatLists concatMap elem filter foldl' isAttrs stringLength;

    inherit listToAttrs mapAttrs;
    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    # A source is its root here; what of it is copied is not looked at.
    fileset = { unions = files: files; toSource = { root, fileset }: root; };
    licenses = { mit = "mit"; asl20 = "asl20"; };
    platforms.linux = [ "x86_64-linux" "aarch64-linux" ];

    optional = condition: value: if condition then [ value ] else [ ];
    optionalAttrs = condition: attrs: if condition then attrs else { };
    optionalString = condition: text: if condition then text else "";
    concatStrings = builtins.concatStringsSep "";
    concatStringsSep = builtins.concatStringsSep;
    mapAttrs' = f: attrs: listToAttrs (map (name: f name attrs.${name}) (attrNames attrs));
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix = suffix: text:
      stringLength text >= stringLength suffix
      && substring (stringLength text - stringLength suffix) (stringLength suffix) text == suffix;
    hasInfix = infix: text: builtins.length (builtins.split (builtins.replaceStrings [ "." ] [ "\\." ] infix) text) > 1;
    removeSuffix = suffix: text:
      if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
    versionAtLeast = version: least: builtins.compareVersions version least >= 0;
    unique = foldl' (known: value: if elem value known then known else known ++ [ value ]) [ ];
    isType = type: value: isAttrs value && value._type or null == type;

    mkOption = attrs: { _type = "option"; } // attrs;
    mkEnableOption = name: mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${name}.";
    };
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkOverride = priority: content: { _type = "override"; inherit priority content; };
    mkOrder = priority: content: { _type = "order"; inherit priority content; };
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkAfter = mkOrder 1500;
    mkBefore = mkOrder 500;

    types =
      let
        type = description: check: merge: { inherit description check merge; };
        one = path: values:
          if all (value: value == head values) values then head values
          else throw "The option `${path}' has conflicting definition values.";
        intWhere = name: check: type name (value: isInt value && check value) one;
      in
      rec {
        bool = type "boolean" isBool one;
        str = type "string" isString one;
        int = intWhere "signed integer" (_: true);
        ints.between = low: high: intWhere
          "integer between ${toString low} and ${toString high} (both inclusive)"
          (value: value >= low && value <= high);
        path = type "absolute path" (value: isPath value || isString value && hasPrefix "/" value) one;
        package = type "package" (value: isAttrs value && value.type or null == "derivation") one;
        lines = type "strings concatenated with \"\\n\"" isString (_: builtins.concatStringsSep "\n");
        enum = values: type
          "one of ${concatStringsSep ", " (map builtins.toJSON values)}"
          (value: elem value values)
          one;
        nullOr = inner: type "null or ${inner.description}" (value: value == null || inner.check value) (path: values:
          if all (value: value == null) values then null else inner.merge path values);
        listOf = inner: type "list of ${inner.description}" isList (_: concatLists);
        attrsOf = inner: type "attribute set of ${inner.description}" isAttrs
          (path: values:
            let
              names = unique (concatMap attrNames values);
              of = name: concatMap (value: if value ? ${name} then discharge value.${name} else [ ]) values;
              present = filter (name: of name != [ ]) names;
            in
            listToAttrs (map
              (name: { inherit name; value = mergeDefinitions "${path}.${name}" inner (of name); })
              present)) // {
          getSubOptions = inner.getSubOptions or (_: { });
        };
        # Options of its own for each value. The module is a set here.
        submodule = module: type "submodule" isAttrs
          (path: values: (evalModules {
            inherit path;
            modules = [ module ] ++ map (config: { inherit config; }) values;
          }).config) // {
          getSubOptions = _: module.options;
        };
        # Whatever it is; sets are merged name by name.
        anything = type "anything" (_: true) (path: values:
          if all isAttrs values && !any (value: value ? type) values then (attrsOf anything).merge path values
          else if all isList values then concatLists values
          else one path values);
      };

    # A set of definitions, with what surrounds it brought to each of them: its names are known whatever holds.
    pushDown = value:
      if isType "merge" value then concatMap pushDown value.contents
      else if isType "if" value then map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
      else if isType "override" value then map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
      else [ value ];

    # What is left of a definition when its conditions are met.
    discharge = value:
      if isType "if" value then (if value.condition then discharge value.content else [ ])
      else if isType "merge" value then concatMap discharge value.contents
      else if isType "override" value then map (definition: definition // { inherit (value) priority; }) (discharge value.content)
      else if isType "order" value then map (definition: definition // { order = value.priority; }) (discharge value.content)
      else [{ priority = 100; order = 1000; inherit value; }];

    mergeDefinitions = path: type: definitions:
      let
        strongest = foldl' (best: definition: if definition.priority < best then definition.priority else best) 9999 definitions;
        counted = filter (definition: definition.priority == strongest) definitions;
        values = map (definition: definition.value) (sort (left: right: left.order < right.order) counted);
      in
      if all type.check values then type.merge path values
      else throw "A definition for option `${path}' is not of type `${type.description}'.";

    evalModules = { modules, specialArgs ? { }, path ? "" }:
      let
        arguments = specialArgs // { inherit config options lib; };
        load = module:
          let
            imported = if isPath module || isString module then import module else module;
            value = if isFunction imported then imported arguments else imported;
            split = value ? options || value ? config;
          in
          concatMap load (value.imports or [ ]) ++ [{
            options = value.options or { };
            config = if split then value.config or { } else removeAttrs value [ "imports" ];
          }];
        loaded = concatMap load modules;

        mergeOptions = sets: listToAttrs (map
          (name:
            let
              found = map (set: set.${name}) (filter (set: set ? ${name}) sets);
              # One option may be declared in several places, each of which says something of it.
              merged = foldl' (all: one: all // one) { } found;
            in
            { inherit name; value = if isType "option" (head found) then merged else mergeOptions found; })
          (unique (concatMap attrNames sets)));
        options = mergeOptions (map (module: module.options) loaded);

        walk = path: options: definitions:
          let
            name = key: if path == "" then key else "${path}.${key}";
            child = key: option:
              let found = map (set: set.${key}) (filter (set: set ? ${key}) definitions); in
              if !isType "option" option then walk (name key) option (concatMap pushDown found)
              else
                let counted = concatMap discharge found; in {
                  unknown = [ ];
                  values = (option.apply or (value: value)) (
                    if counted != [ ] then mergeDefinitions (name key) option.type counted
                    else option.default or (throw "The option `${name key}' was accessed but has no value defined. Try setting the option.")
                  );
                };
            children = mapAttrs child options;
          in
          {
            values = mapAttrs (_: child: child.values) children;
            unknown = map name (filter (key: !(options ? ${key})) (concatMap attrNames definitions))
              ++ concatMap (child: child.unknown) (attrValues children);
          };
        walked = walk path options (concatMap (module: pushDown module.config) loaded);
        config = walked.values;
      in
      {
        inherit options;
        config =
          if walked.unknown == [ ] then config
          else throw "The option `${head walked.unknown}' does not exist.";
      };
  };
in
lib
